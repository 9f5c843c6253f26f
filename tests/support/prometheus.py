"""A real Prometheus that scrapes one target every second, and answers what it has seen."""

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.tools import require_tool

START_SECONDS = 60.0


class Prometheus:
    """Asked over its own HTTP."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, **query: str) -> Any:  # noqa: ANN401 — JSON
        """What its API answers."""
        with urllib.request.urlopen(f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The series of an expression, each with its labels."""
        found = self.ask("query", query=expression)["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def wait_for(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The same, once there is one."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if found := self.value(expression):
                    return found
            except OSError:
                pass  # it is starting
            time.sleep(0.1)
        raise AssertionError(f"Prometheus never saw {expression}: {self.ask('targets')}")


@contextmanager
def scraping(target: str, folder: Path, port: int) -> Iterator[Prometheus]:
    """Run one that scrapes `target` (address and port), on a port of loopback."""
    program = require_tool("prometheus")
    settings = folder / "prometheus.yml"
    settings.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f"scrape_configs: [{{job_name: chatmail, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    command = [program, f"--config.file={settings}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield Prometheus(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
