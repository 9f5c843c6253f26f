"""The TURN credentials that GETMETADATA gives out, used at a real TURN server."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import SOCK_DGRAM, socket
from time import monotonic, sleep

import pytest

from chatmail.config import Config, MetadataConfig
from chatmail.policy.server_metadata import TURN_CREDENTIAL_LIFETIME_SECONDS, shared_metadata
from tests.support.imap import imap_server
from tests.support.tools import require_tool

ENTRY = "/shared/vendor/deltachat/turn"
SECRET = "a shared secret"
PORT = 34780
START_SECONDS = 20.0


@pytest.fixture(scope="module")
def turn_host(loopback_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where coturn runs with the secret of the configuration."""
    folder = tmp_path_factory.mktemp("turn")
    log = folder / "log"
    command = [require_tool("turnserver"), "-n", "--use-auth-secret", f"--static-auth-secret={SECRET}"]
    command += ["--realm=chat.example", f"--listening-ip={loopback_address}", f"--relay-ip={loopback_address}"]
    command += [f"--listening-port={PORT}", "--min-port=50000", "--max-port=50040", "--allow-loopback-peers"]
    command += [
        "--no-tls",
        "--no-dtls",
        "--no-cli",
        "--log-file=stdout",
        f"--pidfile={folder}/pid",
        f"--userdb={folder}/db",
    ]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, cwd=folder) as process:
        try:
            _wait_until_it_answers(loopback_address, log)
            yield loopback_address
        finally:
            process.kill()


def _wait_until_it_answers(host: str, log: Path) -> None:
    binding_request = b"\0\1\0\0\x21\x12\xa4\x42" + b"chatmail-tst"  # RFC 8489 §5
    with closing(socket(type=SOCK_DGRAM)) as client:
        client.settimeout(0.2)
        client.connect((host, PORT))
        deadline = monotonic() + START_SECONDS
        while monotonic() < deadline:
            try:
                client.send(binding_request)
                if client.recv(100)[:2] == b"\1\1":
                    return
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                sleep(0.05)  # it is still starting
    raise AssertionError(log.read_text(errors="replace")[-2000:])


def allocate(announced: str) -> bool:
    """Whether a client gets an allocation, and messages through it, with what METADATA announced."""
    host, port, user, password = announced.split(":", 3)
    command = [require_tool("turnutils_uclient"), "-u", user, "-w", password, "-p", port]
    # Two clients through the relay to each other, one message each, no second allocation for RTCP.
    done = subprocess.run(
        [*command, "-y", "-c", "-n", "1", "-m", "1", host], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode == 0 and "tot_recv_msgs=2" in done.stdout + done.stderr


def metadata(host: str, secret: str) -> MetadataConfig:
    return MetadataConfig(turn_host=host, turn_port=PORT, turn_secret=secret)


def announced(host: str, secret: str, now: datetime) -> str:
    return shared_metadata(Config("chat.example", metadata=metadata(host, secret)), now)[ENTRY]


async def test_a_client_gets_an_allocation_with_what_getmetadata_says(turn_host: str, tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data", metadata=metadata(turn_host, SECRET)) as server:
        said = await (await server.logged_in()).fetched(f'GETMETADATA "" ({ENTRY})')
    assert await asyncio.to_thread(allocate, said.decode())


def test_neither_another_secret_nor_an_expired_user_gets_one(turn_host: str) -> None:
    assert not allocate(announced(turn_host, "another secret", datetime.now(UTC)))
    past = datetime.now(UTC) - timedelta(seconds=TURN_CREDENTIAL_LIFETIME_SECONDS + 60)
    assert not allocate(announced(turn_host, SECRET, past))
