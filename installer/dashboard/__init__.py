"""The dashboard: how the server is doing, live."""
