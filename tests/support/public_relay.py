"""A relay with a domain and the usual ports, started from the built file; its certificate comes from Pebble."""

import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.relay import ServedRelay

PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class PublicRelay(ServedRelay):
    """`chatmail.pyz serve` for `domain`; `settings` holds whole sections, `ports` replaces those of `[listen]`."""

    domain: str = "chat.example.org"
    ports: dict[str, int] = field(default_factory=dict)

    def write_config(self) -> None:
        """Write the configuration file."""
        listen = "\n".join(f"{name} = {port}" for name, port in self.ports.items())
        self.config_path.write_text(
            f'mail_domain = "{self.domain}"\ndata_dir = "{self.data_dir}"\n'
            f'[listen]\naddresses = ["{self.host}"]\n{listen}\n{self.sections}\n'
        )

    def command(self, *words: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
        """One subcommand of the built file with this relay's configuration, or with `config`."""
        return subprocess.run(
            [self.python, str(self.pyz), *words, "--config", str(config or self.config_path)],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )

    def certificate(self) -> dict[str, Any]:
        """What `cert status --json` says."""
        answer = self.command("cert", "status", "--json")
        assert answer.returncode == 0, answer.stderr
        status: dict[str, Any] = json.loads(answer.stdout)
        return status

    def wait_for_certificate(self) -> dict[str, Any]:
        """Wait until a certificate authority vouches for it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (status := self.certificate())["trusted"]:
            assert time.monotonic() < deadline, status
        return status
