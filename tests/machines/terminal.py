"""A terminal an operator sits at: tmux, in which `ssh` logs in to a machine.

What is kept of its screens lies below `CHATMAIL_CAPTURES`, if that is set.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.machines.machine import Machine, ssh_key
from tests.support.tmux import Tmux
from tests.support.tools import require_tool

PROMPT: Final = r"[#$] ?$"


class Terminal(Tmux):
    """One seat at a machine."""

    def __init__(self, machine: Machine, kept: Path, *, columns: int = 80, rows: int = 24) -> None:
        super().__init__(machine.network.name, kept, columns=columns, rows=rows)
        self._machine = machine

    def open(self, user: str = "root", term: str = "", expect: str = PROMPT) -> None:
        """Log in, and wait for what is expected; `term` is what the terminal says it is."""
        environment = f"env TERM={term} " if term else ""
        options = "-q -t -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ServerAliveInterval=5"
        ssh = require_tool("ssh")
        login = f"{environment}{ssh} {options} -i {ssh_key()} {user}@{self._machine.address}"
        self.start(login)
        self.wait_for(expect)


@contextmanager
def terminal(machine: Machine, name: str, folder: Path, *, columns: int = 80, rows: int = 24) -> Iterator[Terminal]:
    """A terminal whose kept screens are those of `name`; closed in the end, with its last screen kept."""
    kept = Path(os.environ.get("CHATMAIL_CAPTURES", folder / "captures")) / name
    one = Terminal(machine, kept, columns=columns, rows=rows)
    one.close()
    try:
        yield one
    finally:
        if one.is_open:
            one.keep("last")
        one.close()
