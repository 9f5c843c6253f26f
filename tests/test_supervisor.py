"""A whole server as systemd sees it: started, READY, watched, stopped."""

import os
import re
import signal
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatmail.config import parse_config
from chatmail.listeners import PROTOCOLS
from tests.support.command import ROOT, Finished, chatmail_command

WAIT_SECONDS = 20.0


class Systemd:
    """Starts one service and hears what it says on the notify socket."""

    def __init__(self, folder: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self._socket.settimeout(WAIT_SECONDS)
        self._environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "200000"}

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            chatmail_command(*arguments),
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, state: str) -> None:
        while self._socket.recv(100).decode() != state:
            pass

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    manager = Systemd(tmp_path)
    yield manager
    manager.close()


@pytest.fixture
def config_file(tmp_path: Path, free_loopback_address: str) -> Path:
    path = tmp_path / "chatmail.toml"
    path.write_text(
        f'mail_domain = "{free_loopback_address}"\ndata_dir = "{tmp_path}/data"\n'
        f'[listen]\naddresses = ["{free_loopback_address}"]\n'
        "smtp = 8025\nsubmission = 8587\nsubmissions = 8465\nimap = 8143\nimaps = 8993\nhttps = 8443\nhttp = 8080\n"
    )
    return path


@contextmanager
def running(systemd: Systemd, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = systemd.start(*arguments)
    try:
        systemd.wait_for("READY=1")
        yield process
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str]) -> Finished:
    out, err = process.communicate(timeout=WAIT_SECONDS)
    return Finished(process.returncode, out, err)


def test_it_is_ready_when_it_serves_keeps_the_watchdog_quiet_and_stops_in_order(
    systemd: Systemd, config_file: Path, free_loopback_address: str
) -> None:
    with running(systemd, "serve", "--config", config_file) as process:
        url = f"https://{free_loopback_address}:8443/"
        with urllib.request.urlopen(url, context=ssl._create_unverified_context(), timeout=10) as answer:
            assert answer.status == 200
        systemd.wait_for("WATCHDOG=1")
        systemd.wait_for("WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        systemd.wait_for("STOPPING=1")
        ended = end(process)
    assert ended.code == 0 and ended.out == ""
    events = re.findall(r" info supervisor (\w+)", ended.err)
    assert events == ["started", "stopping", "stopped"]


def test_the_log_of_a_start_and_an_end_names_no_address(
    systemd: Systemd, config_file: Path, free_loopback_address: str
) -> None:
    with running(systemd, "serve", "--config", config_file) as process:
        process.send_signal(signal.SIGINT)
        ended = end(process)
    assert " started " in ended.err
    assert free_loopback_address not in ended.err


def test_every_port_of_the_configuration_is_served(
    systemd: Systemd, config_file: Path, free_loopback_address: str
) -> None:
    listen = parse_config(config_file.read_text()).listen
    with running(systemd, "serve", "--config", config_file, "--log-level", "error"):
        for name in PROTOCOLS:
            socket.create_connection((free_loopback_address, getattr(listen, name)), timeout=5).close()


def test_a_second_server_on_the_same_data_folder_is_refused(
    systemd: Systemd, config_file: Path, tmp_path: Path
) -> None:
    with running(systemd, "serve", "--config", config_file):
        other = tmp_path / "other.toml"
        other.write_text(re.sub(r"= 8(\d\d\d)\b", r"= 9\1", config_file.read_text()))
        refusal = end(systemd.start("serve", "--config", other)).refusal()
    assert f"The data folder {tmp_path}/data is in use by another running chatmail" in refusal


def test_try_prints_a_link_and_ends_with_0_on_ctrl_c(
    systemd: Systemd, tmp_path: Path, free_loopback_address: str
) -> None:
    with running(systemd, "try", "--host", free_loopback_address, "--data", tmp_path / "new" / "data") as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        link = next(line for line in lines if line.startswith("dclogin:"))
        assert f"@[{free_loopback_address}]?" in link
        process.send_signal(signal.SIGINT)
        ended = end(process)
    assert (ended.code, ended.err) == (0, "Stopped.\n")


def test_try_goes_on_when_nobody_reads_what_it_prints(
    systemd: Systemd, tmp_path: Path, free_loopback_address: str
) -> None:
    process = systemd.start("try", "--host", free_loopback_address, "--data", tmp_path / "data")
    assert process.stdout is not None
    process.stdout.close()
    systemd.wait_for("READY=1")
    systemd.wait_for("WATCHDOG=1")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.read() == "Stopped.\n"
    process.stderr.close()
    assert process.wait(WAIT_SECONDS) == 0
