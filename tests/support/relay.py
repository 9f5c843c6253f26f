"""Relays in subprocesses, started from the built zipapp as an operator would: `try`, and `serve` with a file."""

import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from abc import abstractmethod
from dataclasses import dataclass
from json import loads
from pathlib import Path
from types import TracebackType
from typing import Self

START_SECONDS = 60.0
"""The first start of a fresh file unpacks it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """One account as `POST /new` hands it out."""

    address: str
    password: str
    link: str


@dataclass(slots=True)
class Relay:
    """A relay on a loopback address of its own; start it with `with` or `start()`."""

    pyz: Path
    host: str
    data_dir: Path
    python: str = sys.executable
    port_base: int = 8000
    process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def start(self) -> Self:
        """Start, and wait until it serves."""

    @property
    def log_path(self) -> Path:
        """What the relay says on stderr, over all its starts."""
        return self.data_dir.parent / f"{self.data_dir.name}.log"

    def _open_log(self) -> int:
        return os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def _failure(self, said: str = "") -> AssertionError:
        log = self.log_path.read_text(errors="replace")[-4000:]
        return AssertionError(f"the relay did not come up; it said:\n{said}\n{log}")

    @property
    def pid(self) -> int:
        """Process id of the running relay."""
        assert self.process is not None
        return self.process.pid

    def port(self, standard: int) -> int:
        """The port that stands for the `standard` one."""
        return self.port_base + standard

    def new_account(self) -> Credentials:
        """Ask the web face for an account (`POST /new`)."""
        context = ssl._create_unverified_context()
        request = urllib.request.Request(f"https://{self.host}:{self.port(443)}/new", method="POST", data=b"")
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:
            body = loads(answer.read())
        return Credentials(body["email"], body["password"], body.get("dclogin_url", ""))

    def kill(self) -> None:
        """`kill -9`."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(timeout=30)
        finally:
            if self.process.poll() is None:
                self.kill()
            if self.process.stdout is not None:
                self.process.stdout.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@dataclass(slots=True)
class TryRelay(Relay):
    """`chatmail.pyz try`."""

    output: str = ""

    def start(self) -> Self:
        """Start, and wait until the link is printed."""
        command = [self.python, str(self.pyz), "try", "--host", self.host, "--port-base", str(self.port_base)]
        command += ["--data", str(self.data_dir)]
        self.output = ""
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._open_log(), cwd="/")
        deadline = time.monotonic() + START_SECONDS
        while "dclogin:" not in self.output or not self.output.endswith("\n"):
            self._read_more(deadline)
        return self

    def _read_more(self, deadline: float) -> None:
        assert self.process is not None and self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b""
        if not chunk:
            raise self._failure(self.output)
        self.output += chunk.decode()

    @property
    def printed_link(self) -> str:
        """The `dclogin:` link it printed."""
        found = re.search(r"dclogin:\S+", self.output)
        assert found is not None, self.output
        return found.group()


NO_GUARD = "[limits]\nmax_load_1m = 0\nmin_available_memory = 0\nmin_free_disk_space = 0\n"
"""New accounts even on a machine that is busy with other tests."""


@dataclass(slots=True)
class ServedRelay(Relay):
    """`chatmail.pyz serve`, self-signed, its addresses `user@[host]`; `settings` is more TOML (whole sections)."""

    settings: str = ""
    wrapper: tuple[str, ...] = ()
    """A command that runs the command behind it in its own place, as `slow_disk` does."""

    @property
    def sections(self) -> str:
        """`settings`, and what every test wants that does not say otherwise."""
        return self.settings if "[limits]" in self.settings else f"{self.settings}\n{NO_GUARD}"

    @property
    def config_path(self) -> Path:
        """The configuration it runs with."""
        return self.data_dir.parent / f"{self.data_dir.name}.toml"

    def write_config(self) -> None:
        """Write the configuration file."""
        standard = {
            "smtp": 25,
            "submission": 587,
            "submissions": 465,
            "imap": 143,
            "imaps": 993,
            "https": 443,
            "http": 80,
        }
        ports = "\n".join(f"{name} = {self.port(port)}" for name, port in standard.items())
        self.config_path.write_text(
            f'mail_domain = "{self.host}"\ndata_dir = "{self.data_dir}"\n'
            f'[listen]\naddresses = ["{self.host}"]\n{ports}\n[tls]\nmode = "self-signed"\n{self.sections}\n'
        )

    def start(self) -> Self:
        """Start, and wait for its READY=1 (sd_notify)."""
        self.write_config()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(f"\0chatmail-test-{os.getpid()}-{self.host}-{time.monotonic_ns()}")
            name = "@" + ready.getsockname()[1:].decode()
            self.process = subprocess.Popen(
                [*self.wrapper, self.python, str(self.pyz), "serve", "--config", str(self.config_path)],
                stdout=subprocess.DEVNULL,
                stderr=self._open_log(),
                cwd="/",
                env={**os.environ, "NOTIFY_SOCKET": name},
            )
            self._wait_ready(ready)
        return self

    def _wait_ready(self, ready: socket.socket) -> None:
        assert self.process is not None
        ready.settimeout(0.2)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if b"READY=1" in ready.recv(4096):
                    return
            except TimeoutError:
                continue
        raise self._failure()
