"""Asks the running server over its control socket; blocking, for the command line."""

import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from chatmail.control_protocol import (
    MAX_LINE_BYTES,
    ControlProtocolError,
    Progress,
    Refusal,
    Request,
    Result,
    decode_answer,
    encode_request,
)
from chatmail.errors import OperatorError

ANSWER_SECONDS: Final = 600.0
"""The longest a command may be silent: an expiry run or a certificate order take minutes."""


SILENT: Final = "The server runs but does not answer; its log says more: journalctl --namespace=chatmail"
_RESULT: Final = re.compile(rb'\{"result":(.*)\}\n', re.DOTALL)


class ServerNotRunningError(OperatorError):
    """Nobody listens on the control socket."""


class ServerSilentError(OperatorError):
    """Somebody listens, but says nothing."""


def ask_server(
    path: Path,
    command: str,
    arguments: Mapping[str, Any] | None = None,
    on_progress: Callable[[str], None] = lambda _text: None,
) -> Any:  # noqa: ANN401 — JSON
    """Have the server do `command` and return its result.

    Raises `ServerNotRunningError` if it does not run, and `OperatorError` with the server's sentence if it refuses.
    """
    with _connected(path, command, arguments or {}, ANSWER_SECONDS) as connection:
        return _read_answers(connection, on_progress)


def ask_server_for_json(path: Path, command: str, seconds: float) -> bytes:
    """Ask for something that is there at once; the JSON of the result, as it came. Raises as `ask_server`.

    A server that says nothing for so many seconds counts as one that does not answer.
    """
    with _connected(path, command, {}, seconds) as connection, connection.makefile("rb") as lines:
        try:
            line = lines.readline(MAX_LINE_BYTES)
        except OSError:
            raise ServerSilentError(SILENT) from None
    match = _RESULT.fullmatch(line)
    if match:
        return match[1]
    try:
        answer = decode_answer(line)
    except ControlProtocolError:
        raise ServerSilentError(SILENT) from None
    raise OperatorError(answer.sentence if isinstance(answer, Refusal) else "The server gave another answer.")


@contextmanager
def _connected(path: Path, command: str, arguments: Mapping[str, Any], seconds: float) -> Iterator[socket.socket]:
    """A connection on which the command was said."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            raise ServerNotRunningError(
                f"The server does not run (nobody answers at {path}); start it with: systemctl start chatmail"
            ) from None
        except PermissionError:
            raise OperatorError(f"Only root may give commands to the server ({path}); use sudo.") from None
        except OSError as error:
            raise OperatorError(f"The server cannot be asked at {path}: {error.strerror or error}.") from None
        with suppress(BrokenPipeError):
            connection.sendall(encode_request(Request(command, dict(arguments))))
        yield connection


def _read_answers(connection: socket.socket, on_progress: Callable[[str], None]) -> Any:  # noqa: ANN401 — JSON
    with connection.makefile("rb") as lines:
        while True:
            try:
                line = lines.readline(MAX_LINE_BYTES)
                answer = decode_answer(line)
            except TimeoutError:
                raise OperatorError(
                    "The server does not answer; its log says more: journalctl --namespace=chatmail"
                ) from None
            except (ConnectionError, ControlProtocolError):
                raise OperatorError(
                    "The server hung up: it is stopping, or you are neither root nor the user it runs as."
                ) from None
            match answer:
                case Progress(text):
                    on_progress(text)
                case Refusal(sentence):
                    raise OperatorError(sentence)
                case Result(value):
                    return value
