"""The wizard that leads through an installation, on screens or in lines of text."""
