"""The read-only socket: who is heard there is what the kernel says of the process that connects."""

import asyncio
import grp
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chatmail.control_protocol import Encoded
from chatmail.net.control_client import ServerSilentError, ask_server, ask_server_for_json
from chatmail.services.control import ControlService, Report
from tests.support.command import ROOT
from tests.support.tools import require_root

ASK = """
import grp, os, sys
from chatmail.net.control_client import ask_server
os.setgroups([grp.getgrnam(name).gr_gid for name in sys.argv[2:]])
os.setgid(65534)
os.setuid(65534)
print(ask_server(sys.argv[1], "status"))
"""
SOME_GROUP = next(one.gr_name for one in grp.getgrall() if one.gr_gid not in (0, os.getegid()))


async def status(_arguments: Mapping[str, Any], _report: Report) -> Any:  # noqa: ANN401 — JSON
    return Encoded(b'{"well":true}')


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users reach, as `/run/chatmail` is."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@asynccontextmanager
async def readable(path: Path, group: str) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(ControlService(path, {"status": status}, readers=group).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def asked_as(path: Path, *groups: str) -> tuple[int, str]:
    """Ask as a user without rights who belongs to these groups; exit code and what was said."""
    done = await asyncio.to_thread(
        subprocess.run,
        # Rights are dropped after the imports: the interpreter's folders may be closed to that user.
        [sys.executable, "-c", ASK, str(path), *groups],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.returncode, done.stdout + done.stderr


async def test_only_members_of_the_group_are_heard_and_others_are_told_how_to_become_one(folder: Path) -> None:
    require_root()
    path = folder / "status.sock"
    async with readable(path, SOME_GROUP):
        assert await asked_as(path, SOME_GROUP) == (0, "{'well': True}\n")
        code, said = await asked_as(path)
        assert code == 1 and f"adduser NAME {SOME_GROUP}" in said
        assert await asyncio.to_thread(ask_server, path, "status") == {"well": True}  # root


async def test_where_there_is_no_such_group_root_alone_is_heard(folder: Path) -> None:
    require_root()
    path = folder / "status.sock"
    async with readable(path, "no-such-group"):
        assert (await asked_as(path, SOME_GROUP))[0] == 1
        assert await asyncio.to_thread(ask_server_for_json, path, "status", 5.0) == b'{"well":true}'


async def test_nothing_but_reading_exists_there(folder: Path) -> None:
    async with readable(folder / "status.sock", SOME_GROUP):
        reader, writer = await asyncio.open_unix_connection(folder / "status.sock")
        writer.write(b'{"command": "queue drop", "arguments": {"all": true}}\n')
        assert "does not know the command" in json.loads(await reader.readline())["error"]
        writer.close()


def test_a_server_that_says_nothing_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "sock"))
        silent.listen()
        with pytest.raises(ServerSilentError, match="does not answer"):
            ask_server_for_json(tmp_path / "sock", "status", 0.2)
