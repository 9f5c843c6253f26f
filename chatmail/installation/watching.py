"""How the server of this machine is, asked from outside: over whichever socket this user may open, or of systemd.

Synchronous, for the command line and for the dashboard's threads. A server that is down is told with why: the state of
its unit, and its last log lines as far as this user may read them.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from chatmail.config import DEFAULT_CONFIG_PATH
from chatmail.config_file import read_config
from chatmail.control_protocol import CONTROL_SOCKET, INSTALLED_FOLDER, STATUS_SOCKET, socket_folder
from chatmail.errors import ConfigError, OperatorError, ProtocolError
from chatmail.installation.host import Host
from chatmail.installation.places import UNIT
from chatmail.installation.steps import last_log_lines
from chatmail.net.control_client import ServerNotRunningError, ServerSilentError, ask_server, ask_server_for_json
from chatmail.status_snapshot import (
    Health,
    HealthLevel,
    HealthReason,
    History,
    StatusSnapshot,
    decode_history,
    decode_snapshot,
)

ANSWER_SECONDS: Final = 5.0
"""A server that does not say how it is within so long is not well."""
LOG_LINES: Final = 12
_UNIT_PROPERTIES: Final = ("LoadState", "ActiveState", "SubState", "Result", "StateChangeTimestamp", "NRestarts")

_Value = TypeVar("_Value")


class ServerDownError(OperatorError):
    """The server did not answer; `str()` says so in one sentence."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server by its sockets, whether it runs or not. `is_installed` if it is the one systemd looks after."""

    control: Path
    status: Path
    is_installed: bool

    @property
    def may_act(self) -> bool:
        """Whether this user may give it commands; who may not can still look."""
        return os.access(self.control, os.W_OK)


@dataclass(frozen=True, slots=True)
class ServerDown:
    """Why nobody answers. What systemd calls the unit's states is empty where there is no unit."""

    sentence: str
    remedy: str
    unit_state: str = ""
    """`active`, `inactive`, `failed`, `activating` …"""
    unit_result: str = ""
    """How the last run ended: `success`, `exit-code`, `signal`, `watchdog`, `oom-kill`, `start-limit-hit` …"""
    since: str = ""
    """Since when, as systemd writes it."""
    restarts: int = 0
    """How often systemd has tried it again."""
    log_lines: tuple[str, ...] = ()
    """The server's last words, if this user may read them."""
    running: bool = False
    health: Health = field(default_factory=Health)


def find_server(config_path: str = DEFAULT_CONFIG_PATH) -> RunningServer:
    """The server of a configuration; who may not read the installed one still finds the installed server.

    Raises `ConfigError`.
    """
    try:
        folder = socket_folder(read_config(config_path))
    except ConfigError:
        if config_path != DEFAULT_CONFIG_PATH or os.access(config_path, os.R_OK):
            raise
        folder = Path(INSTALLED_FOLDER)
    return RunningServer(folder / CONTROL_SOCKET, folder / STATUS_SOCKET, str(folder) == INSTALLED_FOLDER)


def read_status_json(server: RunningServer) -> bytes:
    """The snapshot as the server wrote it, one line. Raises `ServerDownError`, and `OperatorError` if it may not."""
    return _read(server, "status")


def read_status(server: RunningServer) -> StatusSnapshot:
    """One look at it. Raises `ServerDownError`, and `OperatorError` if it may not or speaks another version."""
    return _decoded(decode_snapshot, _read(server, "status"))


def read_history(server: RunningServer) -> History:
    """The last day by the minute. Raises as `read_status`."""
    return _decoded(decode_history, _read(server, "status history"))


def read_history_of_month(server: RunningServer) -> History:
    """The last thirty days by the hour. Raises as `read_status`."""
    return _decoded(decode_history, _read(server, "status history-month"))


def read_log(server: RunningServer) -> tuple[str, ...]:
    """The last lines the server logged at `info` and above, newest last. Raises as `read_status`."""
    return tuple(msgspec.json.decode(_read(server, "log tail"), type=dict[str, list[str]])["lines"])


def _decoded(decode: Callable[[bytes], _Value], line: bytes) -> _Value:
    try:
        return decode(line)
    except ProtocolError as error:
        raise OperatorError(f"{error} Is it of another version than this command?") from None


def command(
    server: RunningServer, name: str, on_progress: Callable[[str], None] = lambda _text: None, **arguments: object
) -> Any:  # noqa: ANN401 — JSON
    """Have it do something; for root. Raises `ServerDownError`, and `OperatorError` if it refuses."""
    try:
        return ask_server(server.control, name, arguments, on_progress)
    except ServerNotRunningError as error:
        raise ServerDownError(str(error)) from None


def _read(server: RunningServer, name: str) -> bytes:
    path = server.control if server.may_act else server.status
    try:
        return ask_server_for_json(path, name, ANSWER_SECONDS)
    except (ServerNotRunningError, ServerSilentError) as error:
        raise ServerDownError(str(error)) from None


def why_down(server: RunningServer, host: Host) -> ServerDown:
    """Ask systemd about a server that does not answer."""
    unit = _unit(host) if server.is_installed else {}
    state, result = unit.get("ActiveState", ""), unit.get("Result", "")
    lines = last_log_lines(host, LOG_LINES) if unit else ()
    sentence, remedy = _explain(server, unit)
    reason = HealthReason(HealthLevel.BROKEN, "server_down", sentence, remedy)
    return ServerDown(
        sentence,
        remedy,
        state,
        result,
        unit.get("StateChangeTimestamp", ""),
        int(unit.get("NRestarts") or 0),
        lines,
        health=Health(HealthLevel.BROKEN, (reason,)),
    )


def _unit(host: Host) -> dict[str, str]:
    """The unit's properties; empty where there is no systemd or no such unit."""
    shown = host.run(["systemctl", "show", UNIT, f"--property={','.join(_UNIT_PROPERTIES)}"])
    if shown.code != 0:
        return {}
    unit = dict(line.split("=", 1) for line in shown.out.splitlines() if "=" in line)
    return unit if unit.get("LoadState") == "loaded" else {}


_RESULTS: Final = {
    "exit-code": "it ended with an error",
    "signal": "it was killed by a signal",
    "core-dump": "it crashed",
    "watchdog": "it hung and was ended by the watchdog",
    "oom-kill": "the machine ran out of memory and ended it",
    "timeout": "it did not start in time",
    "start-limit-hit": "it was tried again too often",
}
_SEE_LOG: Final = "Read its log (journalctl --namespace=chatmail), mend what it says, then: systemctl restart chatmail"


def _explain(server: RunningServer, unit: dict[str, str]) -> tuple[str, str]:
    """One sentence on why, and one on what to do."""
    if not unit:
        start = "Start it: systemctl start chatmail" if server.is_installed else "Start it with chatmail serve."
        return f"The server does not run: nobody answers at {server.status}.", start
    state, result = unit.get("ActiveState", ""), unit.get("Result", "")
    since = f" since {unit['StateChangeTimestamp']}" if unit.get("StateChangeTimestamp") else ""
    why = _RESULTS.get(result, "")
    if state == "active":
        return f"The server runs{since}, but does not answer.", _SEE_LOG
    if state == "activating" and unit.get("SubState") == "auto-restart":
        return f"The server cannot start: {why or 'it ended'}, and is tried again and again.", _SEE_LOG
    if state == "activating":
        return "The server is starting.", "Wait a few seconds."
    if state == "deactivating":
        return "The server is stopping.", "Wait a few seconds."
    if state == "failed":
        return f"The server has failed{since}: {why or result}.", _SEE_LOG
    return f"The server is stopped{since}.", "Start it: systemctl start chatmail"


def encode_down(down: ServerDown) -> bytes:
    """One line of JSON."""
    return msgspec.json.encode(down)
