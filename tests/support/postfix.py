"""Postfix and OpenDKIM as Debian packages them, in folders of their own: a foreign server, with a domain of its own.

It sends what a test hands it, signed, to whatever the name server leads to; it receives on port 25, verifies DKIM, and
keeps the mail of its people in maildirs. Both see the test's name server in place of the machine's.
"""

import os
import shutil
import signal
import smtplib
import subprocess
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from shlex import join, quote
from tempfile import mkdtemp
from time import monotonic, sleep
from types import TracebackType
from typing import Final, Self

import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.support.tools import require_root, require_tool

SELECTOR: Final = "foreign"
START_SECONDS: Final = 20.0
SUBMISSION_PORT: Final = 2525
SIGNER_PORT: Final = 8891
VERIFIER_PORT: Final = 8892
RECIPIENT_LIMIT: Final = 300

_MASTER = """
{address}:25 inet n - n - - smtpd
{address}:{submission} inet n - n - - smtpd
  -o smtpd_tls_security_level=none
  -o smtpd_milters=inet:{address}:{signer}
  -o mynetworks=127.0.0.0/8
  -o smtpd_relay_restrictions=permit_mynetworks,reject
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
virtual unix - n n - - virtual
unknown unix - n n - - pipe user=nobody argv=/bin/sh -c "exit 67"
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
myorigin = {domain}
mydestination =
inet_interfaces = 127.0.0.1
smtp_bind_address = {address}
inet_protocols = ipv4
mynetworks =
smtp_tls_security_level = {tls_level}
smtp_tls_CAfile = {folder}/ca.pem
smtp_tls_loglevel = 1
smtpd_tls_security_level = encrypt
smtpd_tls_chain_files = {folder}/tls.pem
smtpd_tls_loglevel = 1
smtpd_recipient_limit = {limit}
smtpd_milters = inet:{address}:{verifier}
non_smtpd_milters = inet:{address}:{signer}
internal_mail_filter_classes = bounce
milter_default_action = tempfail
smtpd_relay_restrictions = reject_unauth_destination
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = regexp:{folder}/mailboxes
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
transport_maps = texthash:{folder}/transport
"""
_MAILBOXES = """
/^alice@/ alice/
/^carol@/ carol/
/^many[0-9]+@/ many/
/^gone@/ gone/
"""
_OPENDKIM = """
Syslog no
Mode {mode}
Domain {domain}
Selector {selector}
KeyFile {folder}/dkim.pem
Socket inet:{port}@{address}
Canonicalization relaxed/simple
OversignHeaders From
InternalHosts {internal}
AuthservID mx.{domain}
Nameservers {dns}
RequireSafeKeys no
PidFile {folder}/opendkim-{mode}.pid
"""


@dataclass(slots=True)
class Postfix:
    """The server of `domain` at `address`; use it with `with`.

    `alice@`, `carol@` and `many1@`, `many2@` … have mailboxes there; `gone@` is accepted, and bounced later.
    """

    domain: str
    address: str
    dns: str
    authority: trustme.CA
    tls_level: str = "verify"
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    folder: Path = field(default_factory=lambda: Path(mkdtemp(prefix="postfix-", dir="/tmp")))
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def zone(self) -> str:
        """Its records, the key in strings of 200."""
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        text = f"v=DKIM1; h=sha256; k=rsa; p={b64encode(der).decode()}"
        strings = " ".join(f'"{text[start : start + 200]}"' for start in range(0, len(text), 200))
        return f"@ IN MX 10 mx\nmx IN A {self.address}\n{SELECTOR}._domainkey IN TXT ( {strings} )\n"

    @property
    def log(self) -> str:
        """What it says of its deliveries."""
        path = self.folder / "mail.log"
        return path.read_text() if path.exists() else ""

    def start(self) -> Self:
        """Start all, and wait until they serve."""
        require_root()
        postfix, opendkim = require_tool("postfix"), require_tool("opendkim")
        self._write_files()
        self._run([opendkim, "-f", "-x", str(self.folder / "signer.conf")])
        self._run([opendkim, "-f", "-x", str(self.folder / "verifier.conf")])
        self._run([postfix, "-c", str(self.folder), "start-fg"])
        self._wait()
        return self

    def _write_files(self) -> None:
        self.folder.chmod(0o755)
        for name, owner in (("queue", "root"), ("data", "postfix"), ("mail", "nobody")):
            (self.folder / name).mkdir()
            shutil.chown(self.folder / name, owner)
        values = {
            "address": self.address,
            "dns": self.dns,
            "domain": self.domain,
            "folder": self.folder,
            "limit": RECIPIENT_LIMIT,
            "selector": SELECTOR,
            "signer": SIGNER_PORT,
            "submission": SUBMISSION_PORT,
            "tls_level": self.tls_level,
            "verifier": VERIFIER_PORT,
        }
        signer = {"mode": "s", "port": SIGNER_PORT, "internal": "0.0.0.0/0"}
        verifier = {"mode": "v", "port": VERIFIER_PORT, "internal": "192.0.2.1"}
        self._write("main.cf", _MAIN.format(**values))
        self._write("master.cf", _MASTER.format(**values))
        self._write("signer.conf", _OPENDKIM.format(**values, **signer))
        self._write("verifier.conf", _OPENDKIM.format(**values, **verifier))
        self._write("mailboxes", _MAILBOXES)
        self._write("transport", f"gone@{self.domain} unknown:\n")
        self._write("resolv.conf", f"nameserver {self.dns}\n")
        (self.folder / "dkim.pem").write_bytes(
            self.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        self.authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        self.authority.issue_cert(f"mx.{self.domain}").private_key_and_cert_chain_pem.write_to_path(
            str(self.folder / "tls.pem")
        )

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def _run(self, command: list[str]) -> None:
        """Run it in a mount namespace in which the name server is the test's."""
        inner = f"mount --bind {quote(str(self.folder / 'resolv.conf'))} /etc/resolv.conf && exec {join(command)}"
        with (self.folder / "started.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    [require_tool("unshare"), "--mount", "sh", "-c", inner],
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def _wait(self) -> None:
        deadline = monotonic() + START_SECONDS
        while True:
            try:
                with smtplib.SMTP(self.address, SUBMISSION_PORT, timeout=2):
                    return
            except OSError:
                if monotonic() > deadline:
                    raise AssertionError((self.folder / "started.log").read_text() + self.log) from None
                sleep(0.1)

    def send(self, mail_from: str, rcpt_to: str, message: bytes) -> None:
        """Hand it a message, as a program on its machine does."""
        with smtplib.SMTP(self.address, SUBMISSION_PORT, timeout=10) as client:
            client.sendmail(mail_from, [rcpt_to], message)

    def mailbox(self, name: str, count: int = 1) -> list[bytes]:
        """The messages in one of its maildirs, once there are `count`."""
        deadline = monotonic() + START_SECONDS
        while len(files := list((self.folder / "mail" / name / "new").glob("*"))) < count:
            assert monotonic() < deadline, f"{len(files)} of {count} came; it said:\n{self.log}"
            sleep(0.05)
        return [path.read_bytes() for path in files]

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
        """End all."""
        # Postfix's master is in a process group of its own, and ends by its own command alone.
        subprocess.run([require_tool("postfix"), "-c", str(self.folder), "stop"], capture_output=True, check=False)
        for process in reversed(self._processes):
            # OpenDKIM has nothing to lose, and takes seconds to hear a polite signal.
            os.killpg(process.pid, signal.SIGKILL if "opendkim" in str(process.args) else signal.SIGTERM)
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
