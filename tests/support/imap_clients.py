"""Other people's IMAP clients against a relay: how to run them, and what server and Maildir hold then."""

import asyncio
import imaplib
import os
import pty
import re
import select
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.mail_client import SmtpClient, accept_any_certificate
from tests.support.messages import encrypted_message
from tests.support.relay import Credentials, Relay

CLIENT_SECONDS = 30.0
"""How long any client may take."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account of `relay`, with the names a client's configuration needs; `folder` is for its files."""

    relay: Relay
    credentials: Credentials
    folder: Path

    @classmethod
    def new(cls, relay: Relay, folder: Path) -> "Account":
        """A fresh account."""
        return cls(relay, relay.new_account(), folder)

    @property
    def port(self) -> int:
        """Of IMAP with TLS."""
        return self.relay.port(993)

    @property
    def certificate(self) -> Path:
        """A file with the relay's certificate."""
        path = self.folder / "relay.pem"
        if not path.exists():
            path.write_text(ssl.get_server_certificate((self.relay.host, self.port)))
        return path

    def receive(self, message_ids: Sequence[str], *, size_bytes: int = 3000) -> None:
        """Let messages with these names come in by SMTP, from the account to itself."""
        asyncio.run(self._send(message_ids, size_bytes))

    async def _send(self, message_ids: Sequence[str], size_bytes: int) -> None:
        address = self.credentials.address
        client = await SmtpClient.connect(self.relay.host, self.relay.port(465), accept_any_certificate())
        await client.login(address, self.credentials.password)
        for message_id in message_ids:
            message = encrypted_message(address, size_bytes=size_bytes, message_id=message_id)
            await client.send(address, [address], message)
        client.close()

    def message(self, message_id: str, *, size_bytes: int = 3000) -> bytes:
        """One that the server takes."""
        return encrypted_message(self.credentials.address, size_bytes=size_bytes, message_id=message_id)

    @contextmanager
    def observer(self) -> Iterator[imaplib.IMAP4_SSL]:
        """Python's own client, logged in."""
        with imaplib.IMAP4_SSL(self.relay.host, self.port, ssl_context=accept_any_certificate()) as client:
            client.login(self.credentials.address, self.credentials.password)
            yield client

    def flags_by_name(self, mailbox: str = "INBOX") -> list[tuple[str, frozenset[str]]]:
        """(name, flags) of all messages the server has in `mailbox`, sorted by name."""
        with self.observer() as client:
            client.select(mailbox, readonly=True)
            answer = client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")[1]
        found = []
        for part in answer:
            if isinstance(part, tuple):
                flags = re.search(rb"FLAGS \(([^)]*)\)", part[0])
                assert flags is not None, part
                found.append((name_of(part[1]), frozenset(flags[1].decode().split())))
        return sorted(found)

    def names(self, mailbox: str = "INBOX") -> list[str]:
        """The names of all messages in `mailbox`, sorted; a message stored twice is there twice."""
        return [name for name, _ in self.flags_by_name(mailbox)]


def name_of(message: bytes) -> str:
    """The name given to `Account.receive` or `Account.message`, out of its Message-ID."""
    found = re.search(rb"(?im)^message-id:\s*<([^@>]*)@", message)
    assert found is not None, message[:500]
    return found[1].decode()


class Maildir:
    """The local side of a client that syncs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for folder in ("cur", "new", "tmp"):
            (path / folder).mkdir(parents=True, exist_ok=True)

    def files(self) -> dict[str, Path]:
        """By name; fails if a message is there twice."""
        paths = [*self.path.glob("cur/*"), *self.path.glob("new/*")]
        found = {name_of(path.read_bytes()): path for path in paths}
        assert len(found) == len(paths), sorted(path.name for path in paths)
        return found

    def add(self, name: str, message: bytes) -> None:
        """A message written here, unseen; local line ends are LF."""
        (self.path / "new" / f"1.{name}.here").write_bytes(message.replace(b"\r\n", b"\n"))

    def set_flags(self, name: str, flags: str) -> None:
        """Give it Maildir's letters."""
        path = self.files()[name]
        path.rename(self.path / "cur" / f"{path.name.split(':')[0]}:2,{flags}")

    def flags(self, name: str) -> str:
        """Maildir's letters."""
        return self.files()[name].name.partition(":2,")[2]


def run(command: Sequence[str], folder: Path) -> str:
    """Run a client to its end, at home in `folder`; what it said. Anything but success fails the test."""
    environment = {**os.environ, "HOME": str(folder), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, timeout=CLIENT_SECONDS, check=False
    )
    said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    assert done.returncode == 0, said
    return done.stdout.decode(errors="replace")


def run_on_terminal(command: Sequence[str], folder: Path) -> None:
    """Run a client that wants a screen to its end; what it painted is in the message if it fails."""
    environment = {**os.environ, "HOME": str(folder), "TERM": "xterm", "LINES": "40", "COLUMNS": "120"}
    ours, theirs = pty.openpty()
    painted = bytearray()
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        deadline = time.monotonic() + CLIENT_SECONDS
        try:
            while select.select([ours], [], [], max(deadline - time.monotonic(), 0))[0]:
                painted += os.read(ours, 65536)
        except OSError:  # the client has closed its end
            process.wait(timeout=CLIENT_SECONDS)
        finally:
            process.kill()
            os.close(ours)
    assert process.returncode == 0, painted.decode(errors="replace")[-3000:]


def run_until(command: Sequence[str], folder: Path, pattern: str, count: int) -> bool:
    """Run a client and `kill -9` it when it has said `pattern` `count` times; whether that came about."""
    environment = {**os.environ, "HOME": str(folder)}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    seen = 0
    with process.stdout as said:
        for line in said:
            seen += re.search(pattern.encode(), line) is not None
            if seen == count:
                process.kill()
                break
    process.wait(timeout=CLIENT_SECONDS)
    return seen == count
