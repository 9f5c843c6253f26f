"""Blocking connections for checks, as a client makes them: plain, with TLS at once, or with STARTTLS.

Standard library only; every wait has an end. What goes wrong is an `OSError` (TLS errors are).
"""

import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 10.0
MAX_LINE_BYTES: Final = 1 << 16
Speech = Literal["smtp", "imap"]


class UnexpectedAnswerError(OSError):
    """The server said something else than expected."""


def client_context(ca_file: str | None, *, verify: bool) -> ssl.SSLContext:
    """What a client uses: the system's roots and those of `ca_file`, or no verification at all."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(slots=True)
class Wire:
    """One connection, read by lines."""

    connection: socket.socket
    _buffer: bytes = b""

    @classmethod
    def connect(cls, address: str, port: int) -> Self:
        """Connect."""
        connection = socket.create_connection((address, port), CONNECT_SECONDS)
        connection.settimeout(ANSWER_SECONDS)
        return cls(connection)

    def start_tls(self, context: ssl.SSLContext, server_name: str, alpn: Sequence[str] = ()) -> ssl.SSLSocket:
        """Go on with TLS."""
        if alpn:
            context.set_alpn_protocols(alpn)
        secured = context.wrap_socket(self.connection, server_hostname=server_name)
        self.connection = secured
        return secured

    def line(self) -> bytes:
        """The next line without its end."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > MAX_LINE_BYTES:
                raise UnexpectedAnswerError("a line without an end")
            piece = self.connection.recv(4096)
            if not piece:
                raise UnexpectedAnswerError("the connection was closed")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def octets(self, count: int) -> bytes:
        """The next octets, as many as a literal announced."""
        while len(self._buffer) < count:
            piece = self.connection.recv(65536)
            if not piece:
                raise UnexpectedAnswerError("the connection was closed")
            self._buffer += piece
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def say(self, text: str) -> None:
        """Send one line."""
        self.connection.sendall(text.encode() + b"\r\n")

    def smtp(self, text: str = "") -> tuple[int, str]:
        """Send a command, if there is one, and return code and last line of the SMTP reply."""
        if text:
            self.say(text)
        while True:
            line = self.line().decode("utf-8", "replace")
            if not re.match(r"\d{3}[ -]", line):
                raise UnexpectedAnswerError(f"the answer is not SMTP: {line[:80]!r}")
            if line[3] == " ":
                return int(line[:3]), line[4:]

    def imap(self, tag: str, text: str) -> list[bytes]:
        """Send an IMAP command and return its untagged lines, literals as items of their own."""
        self.say(f"{tag} {text}")
        found: list[bytes] = []
        while True:
            line = self.line()
            if line.startswith(tag.encode() + b" "):
                if not line.startswith(f"{tag} OK".encode()):
                    raise UnexpectedAnswerError(line.decode("utf-8", "replace")[:200])
                return found
            found.append(line)
            if literal := re.search(rb"\{(\d+)\}$", line):
                found.append(self.octets(int(literal[1])))

    def greet(self, speech: Speech) -> None:
        """Read the greeting, and introduce ourselves."""
        if speech == "smtp":
            code, text = self.smtp()
            if code != 220:
                raise UnexpectedAnswerError(f"the greeting is {code} {text}")
            self.smtp("EHLO [127.0.0.1]")
        elif not (line := self.line()).startswith(b"* OK"):
            raise UnexpectedAnswerError(f"the greeting is {line[:80]!r}")

    def ask_for_tls(self, speech: Speech) -> None:
        """STARTTLS, up to the handshake (RFC 3207, RFC 9051 §6.2.1)."""
        if speech == "imap":
            self.imap("T", "STARTTLS")
        elif (answer := self.smtp("STARTTLS"))[0] != 220:
            raise UnexpectedAnswerError(f"STARTTLS was answered by {answer[0]} {answer[1]}")

    def close(self) -> None:
        """End it."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
