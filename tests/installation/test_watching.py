"""Why a server is down, from what systemd says of its unit; and who may look at one that runs."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from chatmail import api
from chatmail.errors import ConfigError, OperatorError
from chatmail.installation.host import Ended
from chatmail.installation.watching import RunningServer, ServerDownError, find_server, read_status, why_down

INSTALLED = RunningServer(Path("/run/chatmail/control.sock"), Path("/run/chatmail/status.sock"), True)


class PlayedSystemd:
    """Says of the unit what it is told to."""

    def __init__(self, load: str = "loaded", log: str = "", **properties: str) -> None:
        self._properties = {"LoadState": load, "NRestarts": "0", **properties}
        self._log = log

    def is_root(self) -> bool:
        return True

    def run(self, command: Sequence[str]) -> Ended:
        if command[0] == "journalctl":
            return Ended(0, self._log, "")
        assert command[:2] == ["systemctl", "show"]
        return Ended(0, "\n".join(f"{name}={value}" for name, value in self._properties.items()), "")


@pytest.mark.parametrize(
    ("unit", "sentence"),
    [
        ({"ActiveState": "inactive", "StateChangeTimestamp": "Mon 12:00"}, "The server is stopped since Mon 12:00."),
        (
            {"ActiveState": "failed", "Result": "oom-kill"},
            "The server has failed: the machine ran out of memory and ended it.",
        ),
        (
            {"ActiveState": "failed", "Result": "start-limit-hit"},
            "The server has failed: it was tried again too often.",
        ),
        (
            {"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"},
            "The server cannot start: it ended with an error, and is tried again and again.",
        ),
        ({"ActiveState": "activating", "SubState": "start"}, "The server is starting."),
        ({"ActiveState": "deactivating"}, "The server is stopping."),
        ({"ActiveState": "active", "StateChangeTimestamp": "now"}, "The server runs since now, but does not answer."),
    ],
)
def test_the_state_of_the_unit_becomes_a_sentence(unit: dict[str, str], sentence: str) -> None:
    down = why_down(INSTALLED, PlayedSystemd(**unit))
    assert down.sentence == sentence and down.remedy
    assert down.health.level is api.HealthLevel.BROKEN and down.health.reasons[0].sentence == sentence


def test_its_last_words_are_there() -> None:
    down = why_down(INSTALLED, PlayedSystemd(ActiveState="failed", Result="exit-code", NRestarts="4", log="a\n\nb\n"))
    assert down.log_lines == ("a", "b")
    assert (down.unit_state, down.unit_result, down.restarts) == ("failed", "exit-code", 4)
    assert b'"running":false' in api.encode_down(down)


def test_without_a_unit_only_the_socket_can_be_named() -> None:
    down = why_down(INSTALLED, PlayedSystemd(load="not-found"))
    assert down.sentence == "The server does not run: nobody answers at /run/chatmail/status.sock."
    assert down.unit_state == "" and down.log_lines == ()


def test_a_server_is_found_by_its_configuration(tmp_path: Path) -> None:
    config = tmp_path / "chatmail.toml"
    config.write_text(f'mail_domain = "chat.example"\ndata_dir = "{tmp_path}/data"\n')
    server = find_server(str(config))
    assert (server.status, server.is_installed) == (tmp_path / "data" / "status.sock", False)
    assert not server.may_act
    with pytest.raises(ServerDownError, match="does not run"):
        read_status(server)
    with pytest.raises(ConfigError, match="does not exist"):
        find_server(str(tmp_path / "other.toml"))


def test_actions_on_a_server_that_is_down_say_so(tmp_path: Path) -> None:
    server = RunningServer(tmp_path / "control.sock", tmp_path / "status.sock", False)
    for act in (api.run_expiry, api.renew_certificate, api.check_dns_now, api.list_queue):
        with pytest.raises(ServerDownError):
            act(server)
    with pytest.raises(OperatorError):
        api.set_registration(server, "open")
