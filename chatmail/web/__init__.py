"""The web face without a socket: pages, texts in five languages, routing. Reads nothing but its own package data."""
