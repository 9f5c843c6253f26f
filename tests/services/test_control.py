import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chatmail.errors import OperatorError
from chatmail.net.control_client import ServerNotRunningError, ask_server
from chatmail.services.control import ControlService, Handler, Report, bind_socket


async def add(arguments: Mapping[str, Any], report: Report) -> int:
    report("adding")
    return int(arguments["a"]) + int(arguments["b"])


async def refuse(_arguments: Mapping[str, Any], _report: Report) -> None:
    raise OperatorError("That cannot be done.")


async def stumble(_arguments: Mapping[str, Any], _report: Report) -> None:
    raise ZeroDivisionError


COMMANDS: dict[str, Handler] = {"add": add, "refuse": refuse, "stumble": stumble}


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[Path]:
    stop = asyncio.Event()
    service = asyncio.create_task(ControlService(path, COMMANDS).run(stop))
    while not path.exists():
        await asyncio.sleep(0)
    try:
        yield path
    finally:
        stop.set()
        await service
        assert not path.exists()


async def test_a_command_reports_progress_and_returns_its_result(tmp_path: Path) -> None:
    seen: list[str] = []
    async with serving(tmp_path / "control.sock") as path:
        assert await asyncio.to_thread(ask_server, path, "add", {"a": 1, "b": 2}, seen.append) == 3
    assert seen == ["adding"]


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("refuse", "That cannot be done."),
        ("unheard", "does not know the command 'unheard'"),
        ("stumble", "its log has the details"),
    ],
)
async def test_what_cannot_be_done_is_one_sentence(tmp_path: Path, command: str, sentence: str) -> None:
    async with serving(tmp_path / "control.sock") as path:
        with pytest.raises(OperatorError, match=sentence):
            await asyncio.to_thread(ask_server, path, command)


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"{\n", b'{"command": 1}\n', b"[" * 100_000 + b"\n", b"\xff\n"])
async def test_garbage_is_answered_and_costs_its_own_connection_only(tmp_path: Path, line: bytes) -> None:
    async with serving(tmp_path / "control.sock") as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line)
        assert (await reader.readline()).startswith(b'{"error":')
        assert await reader.read() == b""
        writer.close()
        assert await asyncio.to_thread(ask_server, path, "add", {"a": 1, "b": 2}) == 3


def test_a_server_that_does_not_run_is_said_to_and_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(ServerNotRunningError, match=r"does not run .* systemctl start chatmail"):
        ask_server(tmp_path / "control.sock", "add")


def test_the_socket_is_its_owners_alone_and_replaces_one_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with bind_socket(path):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_path_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be made"):
        bind_socket(tmp_path / ("x" * 200))
