"""Plays transcripts: text files of what client and server say, against any server that can be given a line.

    # A comment; the first one says what is shown.
    C: A1 NOOP              client lines that stand together are written in one piece, CR LF behind each
    S: A1 OK …              one line of the server; `…` stands for any text
    C2: …                   what a second client says, and
    S2: …                   hears; it connects when it first speaks or listens
    CLOSED                  the server ends the connection (CLOSED2: the second one)

`␊`, `␍` and `␀` are LF, CR and NUL; `¬` at the end of a client line leaves its line end away, as does `␊`.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

DIALOGUES = Path(__file__).parents[1] / "dialogues"

_STEP = re.compile(r"(?P<kind>C|S|CLOSED)(?P<client>[0-9]*)(?::(?: (?P<text>.*))?)?")
_PICTURES = str.maketrans({"␊": "\n", "␍": "\r", "␀": "\0"})


class Peer(Protocol):
    """A client's end of one connection."""

    async def send(self, data: bytes) -> None: ...

    async def line(self) -> bytes:
        """The next line without its CR LF; empty when the server has closed."""

    async def is_closed(self) -> bool:
        """Whether the server has ended the connection, with nothing more said."""


@dataclass(frozen=True, slots=True)
class Step:
    """`client` writes `text`, hears it, or sees the end; `number` is the line in the file."""

    kind: str
    client: int
    text: str
    number: int

    def wire(self) -> bytes:
        """The bytes of a client line."""
        text = self.text.translate(_PICTURES)
        if text.endswith("¬"):
            return text[:-1].encode()
        return text.encode() + (b"" if text.endswith("\n") else b"\r\n")

    def is_heard(self, line: bytes) -> bool:
        """Whether the server's `line` is the expected one."""
        pattern = ".*".join(map(re.escape, self.text.translate(_PICTURES).split("…")))
        return re.fullmatch(pattern, line.decode("utf-8", "replace"), re.DOTALL) is not None


def steps(text: str) -> list[Step]:
    """The steps of a transcript."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        match = _STEP.fullmatch(line)
        assert match is not None, f"line {number} is no step: {line}"
        found.append(Step(match["kind"], int(match["client"] or 1), match["text"] or "", number))
    return found


async def play(path: Path, connect: Callable[[], Awaitable[Peer]]) -> None:
    """Play the file; fails at the first line that is not as written, naming it."""
    peers: dict[int, Peer] = {}
    for (kind, client), group in groupby(steps(path.read_text()), key=lambda step: (step.kind, step.client)):
        if client not in peers:
            peers[client] = await connect()
        await _play(kind, peers[client], list(group), path.name)


async def _play(kind: str, peer: Peer, group: list[Step], name: str) -> None:
    match kind:
        case "C":
            await peer.send(b"".join(step.wire() for step in group))
        case "S":
            for step in group:
                line = await peer.line()
                assert step.is_heard(line), f"{name}:{step.number}: expected {step.text!r}, heard {line!r}"
        case "CLOSED":
            assert await peer.is_closed(), f"{name}:{group[0].number}: the connection should have ended"
