"""What the pages are made of, one widget a file."""
