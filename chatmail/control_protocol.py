"""What is said over the control socket: one JSON object a line, in both directions.

    → {"version": 1, "command": "cert renew", "arguments": {}}
    ← {"progress": "place the order"}            any number of these
    ← {"result": {…}}                            or {"error": "One sentence."}, and the connection is closed

The socket is `/run/chatmail/control.sock` for the installed server, and lies in the data folder of any other. Beside it
lies `status.sock`, where the same is said and nothing can be done but reading the status.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chatmail.config import DEFAULT_DATA_DIR, Config
from chatmail.errors import ProtocolError

VERSION: Final = 1
INSTALLED_FOLDER: Final = "/run/chatmail"
CONTROL_SOCKET: Final = "control.sock"
STATUS_SOCKET: Final = "status.sock"
STATUS_GROUP: Final = "chatmail-status"
"""Who may read the status beside root; `install` makes the group."""
MAX_LINE_BYTES: Final = 8 * 1024 * 1024
"""A queue of ten thousand items fits."""


class ControlProtocolError(ProtocolError):
    """The other side of the control socket said something else than this protocol."""


@dataclass(frozen=True, slots=True)
class Request:
    """One command with its arguments."""

    command: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a command is, for people."""

    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a command returns: anything JSON holds, or an `Encoded`."""

    value: Any


@dataclass(frozen=True, slots=True)
class Encoded:
    """One line of JSON, made by somebody who knows better how."""

    line: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command was not done, in one sentence."""

    sentence: str


Answer = Progress | Result | Refusal


def socket_folder(config: Config) -> Path:
    """Where the sockets of the server of this configuration lie."""
    return Path(INSTALLED_FOLDER if config.data_dir == DEFAULT_DATA_DIR else config.data_dir)


def socket_path(config: Config) -> Path:
    """Where the server of this configuration listens for commands."""
    return socket_folder(config) / CONTROL_SOCKET


def status_socket_path(config: Config) -> Path:
    """Where it tells how it is, and does nothing else."""
    return socket_folder(config) / STATUS_SOCKET


def encode_request(request: Request) -> bytes:
    """One line."""
    return _line({"version": VERSION, "command": request.command, "arguments": request.arguments})


def decode_request(line: bytes) -> Request:
    """Raises `ControlProtocolError`."""
    content = _object(line)
    if content.get("version", VERSION) != VERSION:
        raise ControlProtocolError("The server speaks another version of this protocol; use its own command line.")
    command, arguments = content.get("command"), content.get("arguments", {})
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise ControlProtocolError("A request names a command and its arguments.")
    return Request(command, arguments)


def encode_answer(answer: Answer) -> bytes:
    """One line."""
    match answer:
        case Progress(text):
            return _line({"progress": text})
        case Result(Encoded(line)):
            return b'{"result":%b}\n' % line
        case Result(value):
            return _line({"result": value})
        case Refusal(sentence):
            return _line({"error": sentence})


def decode_answer(line: bytes) -> Answer:
    """Raises `ControlProtocolError`."""
    match _object(line):
        case {"progress": str(text)}:
            return Progress(text)
        case {"result": value}:
            return Result(value)
        case {"error": str(sentence)}:
            return Refusal(sentence)
    raise ControlProtocolError("An answer is a progress, a result or an error.")


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _object(line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        raise ControlProtocolError("A line is not JSON.") from None
    if not isinstance(content, dict):
        raise ControlProtocolError("A line is not a JSON object.")
    return content
