"""The commands of `build.py` as the README writes them."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 90.0
"""May include a build and the first unpacking."""


@contextmanager
def build_py(*arguments: str, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {"XDG_DATA_HOME": str(home), "HOME": str(home)}
    command = [sys.executable, str(ROOT / "build.py"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd="/") as process:
        try:
            yield process
        finally:
            process.kill()


def read_until_link(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None and process.stderr is not None
    output, deadline = b"", time.monotonic() + START_SECONDS
    while b"dclogin:" not in output or not output.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(process.stdout.fileno(), 65536) if ready else b""
        if not chunk:
            process.kill()
            raise AssertionError(output.decode() + process.stderr.read().decode())
        output += chunk
    return output.decode()


def test_run_starts_a_relay_that_ends_cleanly_on_ctrl_c(pyz: Path, tmp_path: Path) -> None:
    with build_py("run", home=tmp_path) as process:
        output = read_until_link(process)
        assert "https://127.0.0.1:8443" in output
        assert str(tmp_path / "chatmail-try") in output
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_run_hands_its_arguments_on(pyz: Path, tmp_path: Path, free_loopback_address: str) -> None:
    with build_py("run", "--host", free_loopback_address, home=tmp_path) as process:
        output = read_until_link(process)
        assert f"https://{free_loopback_address}:8443" in output
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_a_build_is_not_repeated_while_the_sources_are_the_same(pyz: Path) -> None:
    built = ROOT / "dist" / "chatmail.pyz"
    before = built.stat().st_mtime_ns
    began = time.perf_counter()
    subprocess.run([sys.executable, str(ROOT / "build.py")], check=True, stdout=subprocess.DEVNULL)
    assert built.stat().st_mtime_ns == before
    assert time.perf_counter() - began < 5


def test_an_unknown_argument_gets_the_usage() -> None:
    result = subprocess.run([sys.executable, str(ROOT / "build.py"), "rnu"], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: build.py")
