"""A real certificate authority in tests: Pebble in strict mode, with pebble-challtestsrv as its DNS.

What Pebble does not do by itself (refuse, fail, advise on renewal) `tests.support.moody_authority` adds in front.
"""

import json
import ssl
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self
from urllib.error import URLError
from urllib.request import Request, urlopen

import trustme

from tests.support.tools import require_tool

START_SECONDS = 20.0


@dataclass(slots=True)
class Pebble:
    """Pebble on `address`: directory on 14000, DNS on 8053. It validates at `relay` on ports 80 and 443.

    With a `resolver` (`host:port`) it finds what it validates by that one's answers, and has no DNS of its own.
    `names` are further names of its own certificate.
    """

    folder: Path
    address: str
    relay: str
    external_account: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    http_port: int = 80
    tls_port: int = 443
    resolver: str = ""
    names: tuple[str, ...] = ()
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def directory(self) -> str:
        """The directory URL."""
        return f"https://{self.address}:14000/dir"

    @property
    def ca_file(self) -> Path:
        """What to trust when talking to it."""
        return self.folder / "pebble-ca.pem"

    @property
    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file))

    def start(self) -> Self:
        """Start both, and wait until the directory is served."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        issued = authority.issue_cert(self.address, *self.names)
        (self.folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        settings: dict[str, Any] = {
            "listenAddress": f"{self.address}:14000",
            "managementListenAddress": f"{self.address}:15000",
            "certificate": str(self.folder / "cert.pem"),
            "privateKey": str(self.folder / "key.pem"),
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": bool(self.external_account),
            "externalAccountMACKeys": self.external_account,
        }
        settings_file = self.folder / "pebble.json"
        settings_file.write_text(json.dumps({"pebble": settings}))
        resolver = self.resolver or self._start_dns()
        self._run([require_tool("pebble"), "-strict", "-config", str(settings_file), "-dnsserver", resolver])
        self._wait()
        return self

    def _start_dns(self) -> str:
        resolver = f"{self.address}:8053"
        names = ["-dns01", resolver, "-defaultIPv4", self.relay, "-defaultIPv6", ""]
        no_listeners = ["-http01", "", "-https01", "", "-tlsalpn01", ""]
        self._run([require_tool("pebble-challtestsrv"), *names, *no_listeners, "-management", f"{self.address}:8055"])
        return resolver

    def _run(self, command: list[str]) -> None:
        log = (self.folder / "pebble.log").open("ab")
        with log:
            environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PATH": "/usr/bin:/bin"}
            self._processes.append(
                subprocess.Popen(command, stdout=log, stderr=log, env={**environment, **self.environment})
            )

    def _wait(self) -> None:
        deadline = monotonic() + START_SECONDS
        while True:
            try:
                with urlopen(self.directory, context=self._context, timeout=1):
                    return
            except (URLError, OSError):
                if monotonic() > deadline or any(process.poll() is not None for process in self._processes):
                    raise AssertionError((self.folder / "pebble.log").read_text()) from None

    def root_certificate(self) -> bytes:
        """The root of what it issues (it makes a new one at every start)."""
        with urlopen(f"https://{self.address}:15000/roots/0", context=self._context, timeout=5) as answer:
            return bytes(answer.read())

    def set_address(self, host: str, address: str) -> None:
        """Let `host` lead to `address` in the DNS the authority sees; empty makes it lead nowhere."""
        self._manage("add-a", {"host": f"{host}.", "addresses": [address] if address else []})

    def _manage(self, action: str, body: dict[str, Any]) -> None:
        request = Request(f"http://{self.address}:8055/{action}", json.dumps(body).encode(), method="POST")
        with urlopen(request, timeout=5):
            pass

    def stop(self) -> None:
        """End both."""
        with ExitStack() as stack:
            for process in self._processes:
                process.terminate()
                stack.callback(process.wait, 20)
        self._processes.clear()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
