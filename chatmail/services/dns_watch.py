"""Looks now and then whether the domain's DNS records are still as they should be.

Door: `DnsWatch.run`, and `state`, the verdict of the last look. A server that is known by its IP address has no records
to look at. The comparison is `net/dns_check.py`'s, the one of `dns check`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from chatmail.dns.compare import CheckState
from chatmail.dns.report import DnsReport
from chatmail.errors import ChatmailError
from chatmail.log import Log
from chatmail.status_snapshot import DnsRecordState, DnsState

FIRST_SECONDS: Final = 20.0
"""After a start there are more urgent things to do."""
WHILE_RIGHT_SECONDS: Final = 6 * 3600.0
WHILE_WRONG_SECONDS: Final = 1800.0
"""So that what was mended is soon seen."""

_log = Log("dns")


class DnsWatch:
    """The loop. `look` compares, or is None where there is nothing to compare; `clock` is aware UTC."""

    def __init__(
        self,
        look: Callable[[], Awaitable[DnsReport]] | None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._look = look
        self._clock = clock
        self.state = DnsState() if look is not None else DnsState(verdict="unneeded")

    async def run(self, stop: asyncio.Event, first_seconds: float = FIRST_SECONDS) -> None:
        """Look until `stop`."""
        seconds = first_seconds
        while self._look is not None and not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), seconds)
            if not stop.is_set():
                await self.look()
                seconds = WHILE_RIGHT_SECONDS if self.state.verdict in ("ok", "incomplete") else WHILE_WRONG_SECONDS
        await stop.wait()

    async def look(self) -> DnsState:
        """Look now."""
        if self._look is None:
            return self.state
        before = self.state
        try:
            report = await self._look()
        except ChatmailError as error:
            self.state = DnsState(self._clock(), "unreachable", before.wrong, str(error))
        except Exception as error:
            # A name server that answers nonsense is no reason to end the server.
            _log.bug(error)
            self.state = DnsState(self._clock(), "unreachable", before.wrong, "The answers could not be understood.")
        else:
            self.state = verdict_of(report, self._clock())
        if self.state.verdict != before.verdict:
            say = _log.info if self.state.verdict in ("ok", "incomplete") else _log.warning
            say("dns_records", verdict=self.state.verdict, records=len(self.state.wrong))
        return self.state


def verdict_of(report: DnsReport, now: datetime) -> DnsState:
    """The report in short."""
    wrong = tuple(
        DnsRecordState(check.record.name, check.record.type.value, check.state.value, check.record.required)
        for check in report.checks
        if check.state in (CheckState.MISSING, CheckState.DIFFERENT)
    )
    if any(record.required for record in wrong):
        return DnsState(now, "wrong", wrong)
    unreachable = [check for check in report.checks if check.state is CheckState.UNREACHABLE]
    if unreachable:
        return DnsState(now, "unreachable", wrong, unreachable[0].advice)
    return DnsState(now, "incomplete" if wrong else "ok", wrong)
