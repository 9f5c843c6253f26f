"""The pages, one a file, and the windows that open over them."""
