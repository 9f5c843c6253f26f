"""What the pages say, one file a page; the screens and the lines of text say the same."""
