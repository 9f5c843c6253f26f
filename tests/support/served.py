"""A server of this source tree in a subprocess, with the operator's commands and a plain client beside it."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.command import ROOT, Finished, chatmail, chatmail_command
from tests.support.mail_client import ImapClient, accept_any_certificate

PASSWORD = "correct horse battery"


class Server:
    """`serve` with a configuration of its own; `log` is what it said."""

    def __init__(self, folder: Path, host: str) -> None:
        self.host = host
        self.folder = folder
        self.config = folder / "chatmail.toml"
        self.log_file = folder / "log"
        self.config.write_text(
            f'mail_domain = "{host}"\ndata_dir = "{folder}/data"\n[listen]\naddresses = ["{host}"]\n'
            "smtp = 8025\nsubmission = 8587\nsubmissions = 8465\nimap = 8143\nimaps = 8993\nhttps = 8443\nhttp = 8080\n"
            "[limits]\nmax_load_1m = 0\nmin_available_memory = 0\nmin_free_disk_space = 0\n"
            '[push]\nnotifier_url = ""\n'
        )

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run it; SIGTERM at the end."""
        notify = self.folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, self.log_file.open("ab") as log:
            ready.bind(str(notify))
            ready.settimeout(60)
            environment = {**os.environ, "NOTIFY_SOCKET": str(notify)}
            command = chatmail_command("serve", "--config", self.config)
            with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log) as process:
                while b"READY=1" not in ready.recv(4096):
                    pass
                try:
                    yield process
                finally:
                    process.send_signal(signal.SIGTERM)
                    process.wait(30)
        notify.unlink()

    def do(self, *words: str) -> Finished:
        """One command."""
        return chatmail(*words, "--config", self.config)

    def json(self, *words: str) -> object:
        """What a command that succeeds prints with --json."""
        done = self.do(*words, "--json")
        assert done.code == 0, done.err
        return json.loads(done.out)

    async def imap(self, name: str) -> ImapClient:
        """A client that is logged in, which makes the account."""
        client = await ImapClient.connect(self.host, 8993, accept_any_certificate())
        await client.login(f"{name}@[{self.host}]", PASSWORD)
        return client
