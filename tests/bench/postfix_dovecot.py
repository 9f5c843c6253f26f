"""Debian's Postfix and Dovecot as a chat relay, in a temporary folder: what we want to be faster than.

Submission over TLS with SASL by Dovecot, delivery by LMTP into maildirs, IMAP with IDLE, passwords from a file, cached.
What chatmail/relay adds is left out, which makes it faster than that: no encryption filter, no DKIM, no account made by
a login, no hibernation. Limits of processes and connections are raised so far that none of them is met. Needs root.
"""

import os
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep
from types import TracebackType
from typing import Final, Self

import trustme

from tests.bench.filled_store import PASSWORD
from tests.bench.target import Login, Target
from tests.support.mail_client import accept_any_certificate

SUBMISSIONS: Final = 4650
IMAPS: Final = 9930
ACCOUNTS: Final = 6000
START_SECONDS: Final = 30.0
DOMAIN: Final = "peer.example"

_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = {domain}
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = static:yes
virtual_transport = lmtp:unix:{folder}/lmtp
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {folder}/auth
smtpd_tls_cert_file = {folder}/cert.pem
smtpd_tls_key_file = {folder}/key.pem
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_client_connection_count_limit = 0
message_size_limit = 40000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
default_process_limit = 200
lmtp_destination_concurrency_limit = 50
"""
_MASTER = """
{host}:{port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
tlsmgr unix - - n 1000 1 tlsmgr
scache unix - - n - 1 scache
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""
_DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap lmtp
listen = {host}
ssl = required
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
mail_location = maildir:~/Maildir
mail_plugins =
first_valid_uid = 1
auth_cache_size = 100M
default_client_limit = 20000
default_vsz_limit = 2G
mail_max_userip_connections = 20000
passdb {{
  driver = passwd-file
  args = scheme=SHA512-CRYPT {folder}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail/%n allow_all_users=yes
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
service lmtp {{
  process_limit = 50
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
}}
service imap-login {{
  service_count = 0
  process_min_avail = 2
  process_limit = 100
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service imap {{
  process_limit = 20000
}}
service stats {{
  client_limit = 20000
}}
service anvil {{
  client_limit = 20000
}}
"""


@dataclass(slots=True)
class PostfixDovecot:
    """Both, as processes of their own; use it with `with`."""

    host: str
    folder: Path = field(default_factory=lambda: Path(mkdtemp(prefix="chatmail-bench-peer-", dir="/tmp")))
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def target(self) -> Target:
        """Where to measure. The accounts are there already."""
        accounts = [Login(f"peer{number:05}@{DOMAIN}", PASSWORD) for number in range(ACCOUNTS)]
        pids = tuple(process.pid for process in self._processes)
        made = Target(self.host, DOMAIN, SUBMISSIONS, IMAPS, pids, accept_any_certificate(), accounts)

        def restart() -> None:
            self._end()
            self._begin()
            made.pids = tuple(process.pid for process in self._processes)

        made.restart = restart
        return made

    def _write(self) -> None:
        self.folder.chmod(0o755)
        for name in ("queue", "data", "mail"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix", "postfix")
        shutil.chown(self.folder / "mail", "mail", "mail")
        issued = trustme.CA().issue_cert("localhost")
        (self.folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True)
        users = "".join(f"peer{number:05}@{DOMAIN}:{hashed.stdout.strip()}\n" for number in range(ACCOUNTS))
        (self.folder / "users").write_text(users)
        values = {
            "domain": DOMAIN,
            "folder": self.folder,
            "host": self.host,
            "imaps": IMAPS,
            "port": SUBMISSIONS,
        }
        for name, text in (("main.cf", _MAIN), ("master.cf", _MASTER), ("dovecot.conf", _DOVECOT)):
            (self.folder / name).write_text(text.format(**values))

    def _begin(self) -> None:
        for command in (
            ["dovecot", "-F", "-c", str(self.folder / "dovecot.conf")],
            ["postfix", "-c", str(self.folder), "start-fg"],
        ):
            with (self.folder / "started.log").open("ab") as log:
                self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
        deadline = monotonic() + START_SECONDS
        while not self._serves():
            if monotonic() > deadline:
                logs = [path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*.log")]
                raise AssertionError("Postfix and Dovecot did not come up; they said:\n" + "\n".join(logs))
            sleep(0.1)

    def _serves(self) -> bool:
        for port, greeting in ((SUBMISSIONS, b"220"), (IMAPS, b"* OK")):
            try:
                with (
                    socket.create_connection((self.host, port), timeout=2) as plain,
                    accept_any_certificate().wrap_socket(plain) as secured,
                ):
                    if not secured.recv(100).startswith(greeting):
                        return False
            except OSError:
                return False
        return True

    def _end(self) -> None:
        # Its master is in a process group of its own, and ends by its own command alone.
        subprocess.run(["postfix", "-c", str(self.folder), "stop"], capture_output=True, check=False)
        for process in reversed(self._processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(timeout=30)
        self._processes.clear()

    def __enter__(self) -> Self:
        try:
            self._write()
            self._begin()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)
