import asyncio
from datetime import UTC, datetime

import pytest

from chatmail.dns.compare import CheckState, RecordCheck
from chatmail.dns.records import DnsRecord, RecordType
from chatmail.dns.report import DnsReport
from chatmail.errors import ChatmailError
from chatmail.net.dns_answers import DnsFailureError
from chatmail.services.dns_watch import DnsWatch, verdict_of
from chatmail.status_snapshot import DnsRecordState

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def check(state: CheckState, *, required: bool = True) -> RecordCheck:
    return RecordCheck(DnsRecord("chat.example", RecordType.MX, "10 chat.example.", "Mail.", required), state)


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        ([], "ok"),
        ([check(CheckState.OK)], "ok"),
        ([check(CheckState.OK), check(CheckState.MISSING, required=False)], "incomplete"),
        ([check(CheckState.DIFFERENT), check(CheckState.UNREACHABLE)], "wrong"),
        ([check(CheckState.UNREACHABLE), check(CheckState.OK)], "unreachable"),
    ],
)
def test_a_report_is_one_word(checks: list[RecordCheck], verdict: str) -> None:
    assert verdict_of(DnsReport(tuple(checks)), NOON).verdict == verdict


def test_what_is_wrong_is_named() -> None:
    state = verdict_of(DnsReport((check(CheckState.MISSING),)), NOON)
    assert state.wrong == (DnsRecordState("chat.example", "MX", "missing", True),) and state.checked_at == NOON


async def test_the_watch_looks_after_the_start_and_says_what_it_saw() -> None:
    looked = asyncio.Event()

    async def look() -> DnsReport:
        looked.set()
        return DnsReport((check(CheckState.OK),))

    watch, stop = DnsWatch(look, clock=lambda: NOON), asyncio.Event()
    assert watch.state.verdict == "unknown"
    running = asyncio.create_task(watch.run(stop, first_seconds=0.01))
    async with asyncio.timeout(10):
        await looked.wait()
    stop.set()
    await running
    assert watch.state.verdict == "ok"


@pytest.mark.parametrize("error", [DnsFailureError("Nobody answered."), ZeroDivisionError("nonsense")])
async def test_name_servers_that_fail_or_talk_nonsense_end_nothing(error: Exception) -> None:
    async def look() -> DnsReport:
        raise error

    state = await DnsWatch(look, clock=lambda: NOON).look()
    assert state.verdict == "unreachable"
    assert state.error == (str(error) if isinstance(error, ChatmailError) else "The answers could not be understood.")


async def test_a_server_known_by_its_address_has_nothing_to_look_at() -> None:
    watch, stop = DnsWatch(None), asyncio.Event()
    stop.set()
    await watch.run(stop)
    assert (await watch.look()).verdict == "unneeded"
