"""A real authoritative name server (nsd) on a loopback address of its own, serving zones that tests write."""

import signal
import subprocess
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

import dns.exception
import dns.message
import dns.query
import dns.rcode

from tests.support.tools import require_tool

START_SECONDS = 20.0


class NameServer:
    """nsd, answering on port 53 of `address` for the zones given; use it with `with`."""

    def __init__(self, folder: Path, address: str, zones: dict[str, str]) -> None:
        """`zones` maps a zone's name, empty for the root, to its records; SOA and NS are added. For an empty folder."""
        self.folder, self.address, self.zones = folder, address, dict(zones)
        self._serials = dict.fromkeys(zones, 0)
        self.process: subprocess.Popen[bytes] | None = None
        self.binary = require_tool("nsd")

    def write(self) -> None:
        """Write the zone files and the configuration."""
        lines = [
            "server:",
            f'  ip-address: {self.address}@53\n  zonesdir: "{self.folder}"\n  database: ""\n  username: ""',
            f'  pidfile: "{self.folder}/nsd.pid"\n  xfrdfile: "{self.folder}/xfrd.state"\n  server-count: 1',
            f'  zonelistfile: "{self.folder}/zone.list"\n  xfrdir: "{self.folder}"\n  logfile: "{self.folder}/nsd.log"',
            "remote-control:\n  control-enable: no",
        ]
        for zone in self.zones:
            self._write_zone(zone)
            lines.append(f'zone:\n  name: "{zone}."\n  zonefile: "{zone}.zone"')
        (self.folder / "nsd.conf").write_text("\n".join(lines) + "\n")

    def _write_zone(self, zone: str) -> None:
        below = f"{zone}." if zone else ""
        self._serials[zone] += 1
        (self.folder / f"{zone}.zone").write_text(
            f"$ORIGIN {zone}.\n$TTL 3600\n"
            f"@ IN SOA ns.{below} hostmaster.{below} {self._serials[zone]} 3600 600 86400 5\n"
            f"@ IN NS ns.{below}\nns.{below} IN A {self.address}\n{self.zones[zone]}"
        )

    def start(self) -> Self:
        """Start, and wait until every zone is answered for."""
        self.write()
        self.process = subprocess.Popen([self.binary, "-d", "-c", str(self.folder / "nsd.conf")])
        for zone in self.zones:
            self._wait(zone)
        return self

    def _wait(self, zone: str) -> None:
        """Until it answers for `zone` as it was written last."""
        assert self.process is not None
        deadline = monotonic() + START_SECONDS
        while self._served_serial(zone) != self._serials[zone]:
            if monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError((self.folder / "nsd.log").read_text())

    def _served_serial(self, zone: str) -> int:
        try:
            answer = dns.query.udp(dns.message.make_query(f"{zone}.", "SOA"), self.address, timeout=0.2)
            return int(answer.answer[0][0].serial)
        except (dns.exception.DNSException, OSError, LookupError):
            return 0

    def replace(self, zone: str, records: str) -> None:
        """Serve other records for `zone` from now on, without a moment in which nobody answers."""
        assert self.process is not None
        self.zones[zone] = records
        self._write_zone(zone)
        self.process.send_signal(signal.SIGHUP)
        self._wait(zone)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
