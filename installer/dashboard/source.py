"""Where the dashboard gets everything from: a seam, so that tests stand in for a server with frozen values.

All methods block, and are called by the workers alone. What a person can mend is an `OperatorError` of one sentence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from chatmail import api
from chatmail.api import History, OperatorError, RunningServer, ServerDown, ServerDownError, StatusSnapshot
from installer.dashboard.moment import Outage

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Which items of the queue are meant: one, all for a domain, or all."""

    item: int | None = None
    domain: str | None = None
    everything: bool = False


class Source(Protocol):
    """A server, from the outside. Everything but `outage` and `sign_up_link` raises `OperatorError`."""

    @property
    def read_only_because(self) -> str:
        """Why this user may only look, in one sentence; empty where everything may be done."""

    def snapshot(self) -> StatusSnapshot:
        """The server now."""

    def history(self) -> History:
        """Its last 24 hours."""

    def outage(self, error: OperatorError) -> Outage:
        """Why it did not answer, beyond the error itself."""

    def log_lines(self) -> Sequence[str]:
        """The last lines of its log, the latest last."""

    def queue_items(self, domain: str) -> Sequence[dict[str, Any]]:
        """What waits for a domain, as `queue list --json` prints it."""

    def retry(self, which: Waiting) -> int:
        """Try them now; how many."""

    def drop(self, which: Waiting) -> int:
        """Remove them; how many there were."""

    def renew_certificate(self, on_progress: Progress) -> None:
        """Obtain a new one now."""

    def check_dns(self) -> str:
        """Compare the records now; the verdict."""

    def set_registration(self, mode: str) -> str:
        """`open`, `invite` or `closed`; the mode in force."""

    def invite(self) -> str:
        """Make an invitation for one account; its link."""

    def run_expiry(self, on_progress: Progress) -> dict[str, Any]:
        """Remove what is over its time, as `expire --json` prints it."""

    def find_account(self, address: str) -> dict[str, Any]:
        """Amounts of one account, as `account show --json` prints them."""

    def sign_up_link(self) -> str:
        """The link that gives a phone an account."""


class ServerSource:
    """The server of a configuration on this machine."""

    def __init__(self, config_path: str) -> None:
        """Raises `ConfigError`."""
        self._config_path = config_path
        self._server: RunningServer = api.find_server(config_path)

    @property
    def read_only_because(self) -> str:
        """Whoever cannot open the socket for commands is told who can."""
        return "" if self._server.may_act else "You may look, only root may act: sudo chatmail status"

    def snapshot(self) -> StatusSnapshot:
        """By the socket this user may open."""
        return api.read_status(self._server)

    def history(self) -> History:
        """By the minute."""
        return api.read_history(self._server)

    def outage(self, error: OperatorError) -> Outage:
        """What systemd says of a server that is down."""
        if not isinstance(error, ServerDownError):
            return Outage(str(error), word="UNKNOWN")
        down = api.server_down_report(self._server)
        return Outage(down.sentence, down.remedy, "DOWN", _unit_words(down), down.log_lines)

    def log_lines(self) -> Sequence[str]:
        """As the server keeps them."""
        return api.read_log(self._server)

    def queue_items(self, domain: str) -> Sequence[dict[str, Any]]:
        """For root."""
        return api.list_queue(self._server, domain)

    def retry(self, which: Waiting) -> int:
        """For root."""
        return api.retry_queue(self._server, item=which.item, domain=which.domain, everything=which.everything)

    def drop(self, which: Waiting) -> int:
        """For root."""
        return api.drop_queue(self._server, item=which.item, domain=which.domain, everything=which.everything)

    def renew_certificate(self, on_progress: Progress) -> None:
        """For root."""
        api.renew_certificate(self._server, on_progress)

    def check_dns(self) -> str:
        """For root."""
        return api.check_dns_now(self._server)

    def set_registration(self, mode: str) -> str:
        """For root."""
        return api.set_registration(self._server, mode)

    def invite(self) -> str:
        """For root."""
        return api.invite(self._server)

    def run_expiry(self, on_progress: Progress) -> dict[str, Any]:
        """For root."""
        return api.run_expiry(self._server, on_progress)

    def find_account(self, address: str) -> dict[str, Any]:
        """For root."""
        return api.find_account(self._server, address)

    def sign_up_link(self) -> str:
        """From the configuration."""
        return api.sign_up_link_of(self._config_path)


def _unit_words(down: ServerDown) -> str:
    words = [down.unit_state, f"({down.unit_result})" if down.unit_result not in ("", "success") else ""]
    words += [
        f"since {down.since}" if down.since else "",
        f"tried again {down.restarts} times" if down.restarts else "",
    ]
    return " ".join(word for word in words if word)
