"""A complete chatmail relay in one process. This module holds the version and imports nothing."""

__version__ = "0.1.0"
