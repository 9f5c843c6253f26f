"""The command line. `main` runs it, `program` is its root."""

from chatmail.cli.program import main, program

__all__ = ["main", "program"]
