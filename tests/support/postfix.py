"""Postfix and OpenDKIM as Debian packages them, in folders of their own: a foreign server that sends to ours."""

import os
import shutil
import smtplib
import subprocess
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep
from types import TracebackType
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.support.tools import require_root, require_tool

SELECTOR: Final = "foreign"
START_SECONDS: Final = 20.0
SMTP_PORT: Final = 2525
MILTER_PORT: Final = 8891

_MASTER = """
{address}:{smtp} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
tlsmgr unix - - n 1000 1 tlsmgr
scache unix - - n - 1 scache
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""
_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mx.{domain}
mydestination = {domain}
local_transport = discard:came-back
local_recipient_maps =
alias_maps =
inet_interfaces = 127.0.0.1
smtp_bind_address = {address}
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtp_host_lookup = native
relayhost = [{relay}]:{relay_port}
smtp_tls_security_level = {tls_level}
smtp_tls_loglevel = 1
smtpd_milters = inet:{address}:{milter}
milter_default_action = accept
smtpd_relay_restrictions = permit_mynetworks, reject
"""
_OPENDKIM = """
Syslog no
Mode s
Domain {domain}
Selector {selector}
KeyFile {folder}/dkim.pem
Socket inet:{milter}@{address}
Canonicalization relaxed/simple
OversignHeaders From
InternalHosts 0.0.0.0/0
RequireSafeKeys no
PidFile {folder}/opendkim.pid
"""


@dataclass(slots=True)
class Postfix:
    """Sends everything to the server at `relay`; use it with `with`."""

    domain: str
    address: str
    relay: str
    relay_port: int
    signs: bool = True
    tls_level: str = "encrypt"
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    folder: Path = field(default_factory=lambda: Path(mkdtemp(prefix="postfix-", dir="/tmp")))
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def record(self) -> str:
        """The line of the zone file that publishes its key, in strings of 200."""
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        text = f"v=DKIM1; h=sha256; k=rsa; p={b64encode(der).decode()}"
        strings = " ".join(f'"{text[start : start + 200]}"' for start in range(0, len(text), 200))
        return f"{SELECTOR}._domainkey IN TXT ( {strings} )\n"

    @property
    def log(self) -> str:
        """What it says of its deliveries."""
        path = self.folder / "mail.log"
        return path.read_text() if path.exists() else ""

    def start(self) -> Self:
        """Start both, and wait until they serve."""
        require_root()
        tools = [require_tool("postfix"), require_tool("opendkim")]
        self.folder.chmod(0o755)
        for name in ("queue", "data"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix", "postfix")
        values = {
            "address": self.address,
            "domain": self.domain,
            "folder": self.folder,
            "milter": MILTER_PORT,
            "relay": self.relay,
            "relay_port": self.relay_port,
            "selector": SELECTOR,
            "smtp": SMTP_PORT,
            "tls_level": self.tls_level,
        }
        (self.folder / "dkim.pem").write_bytes(
            self.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        for name, text in (("main.cf", _MAIN), ("master.cf", _MASTER), ("opendkim.conf", _OPENDKIM)):
            (self.folder / name).write_text(text.format(**values))
        if self.signs:
            self._run([tools[1], "-f", "-x", str(self.folder / "opendkim.conf")])
        self._run([tools[0], "-c", str(self.folder), "start-fg"])
        self._wait()
        return self

    def _run(self, command: list[str]) -> None:
        with (self.folder / "started.log").open("ab") as log:
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))

    def _wait(self) -> None:
        deadline = monotonic() + START_SECONDS
        while True:
            try:
                with smtplib.SMTP(self.address, SMTP_PORT, timeout=2):
                    return
            except OSError:
                if monotonic() > deadline:
                    raise AssertionError((self.folder / "started.log").read_text() + self.log) from None
                sleep(0.1)

    def send(self, mail_from: str, rcpt_to: str, message: bytes) -> None:
        """Hand it a message, as a program on its machine does."""
        with smtplib.SMTP(self.address, SMTP_PORT, timeout=10) as client:
            client.sendmail(mail_from, [rcpt_to], message)

    def wait_for(self, said: str) -> str:
        """The log line that holds `said`."""
        deadline = monotonic() + START_SECONDS
        while True:
            for line in self.log.splitlines():
                if said in line:
                    return line
            if monotonic() > deadline:
                raise AssertionError(f"{said!r} is not in:\n{self.log}")
            sleep(0.05)

    def stop(self) -> None:
        """End both."""
        for process in reversed(self._processes):
            os.killpg(process.pid, 15)
            process.wait(timeout=20)
        self._processes.clear()
        shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
