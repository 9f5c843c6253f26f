"""The snapshot and the history of a store and services that are there, and those played by small functions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from chatmail.errors import StorageError
from chatmail.mail.address import Address
from chatmail.meters import Meters
from chatmail.policy.health import HealthLimits
from chatmail.services import status as status_module
from chatmail.services.status import StatusService, StatusSources
from chatmail.status_snapshot import (
    CertificateState,
    DnsState,
    ExpiryState,
    HealthLevel,
    PushState,
    SessionCounts,
    decode_snapshot,
)
from chatmail.storage.store import Direction, LocalDelivery, Outbound, Store, TrafficOutcome

START = datetime(2026, 5, 4, 12, 0, 30, tzinfo=UTC)
ALICE = Address("alice1234", "chat.example")


class Clock:
    """A wall clock that stands where it was set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=1 << 30)
    yield store
    await store.close()


def service(store: Store, folder: Path, meters: Meters, clock: Clock) -> StatusService:
    return StatusService(
        mail_domain="chat.example",
        data_dir=folder / "data",
        limits=HealthLimits(),
        store=store,
        meters=meters,
        sources=StatusSources(
            sessions=lambda: SessionCounts(imap=3, imap_idle=meters.imap_idle, imap_limit=100, smtp_limit=100),
            registration=lambda: "open",
            shortage=lambda: None,
            certificate=lambda: CertificateState(mode="files", trusted=True, not_after=START + timedelta(days=9.5)),
            dns=lambda: DnsState(verdict="ok"),
            expiry=lambda: ExpiryState(next_run_at=START),
            push=lambda: PushState("ok", delivered=2),
        ),
        clock=clock,
    )


async def queue_message(store: Store, *to: Address) -> None:
    body = store.stage(b"Subject: x\r\n\r\n")
    body.write(b"hello\r\n")
    await store.deliver([LocalDelivery(body, (), sender=ALICE, outbound=Outbound(ALICE, to))], START)


async def test_a_snapshot_tells_what_is_in_the_store_and_in_the_meters(store: Store, tmp_path: Path) -> None:
    meters = Meters()
    meters.local, meters.inbound = 5, 2
    meters.refuse("too_fast")
    meters.durable.record(0.004)
    await store.accounts.create(ALICE, "hash", START.date())
    await store.accounts.create(Address("bob123456", "chat.example"), "hash", date(2026, 5, 1))
    await queue_message(
        store, Address("x", "peer.example"), Address("y", "other.example"), Address("z", "peer.example")
    )
    store.traffic.record("peer.example", Direction.OUTBOUND, TrafficOutcome.DELIVERED, 700)
    store.traffic.record("peer.example", Direction.INBOUND, TrafficOutcome.REFUSED, 9)
    store.traffic.record("*", Direction.INBOUND, TrafficOutcome.REFUSED, 9)
    seen = await service(store, tmp_path, meters, Clock()).snapshot()
    assert (seen.accounts.total, seen.accounts.active_today, seen.accounts.new_today) == (2, 1, 1)
    assert (seen.queue.items, seen.queue.domains) == (2, 2)
    assert [one.domain for one in seen.queue.destinations] == ["other.example", "peer.example"]
    assert seen.refusals == {"too_fast": 1}
    assert (seen.messages.local_total, seen.messages.inbound_total) == (5, 2)
    assert seen.latency.durable.samples == 1 and seen.latency.exists.p50_ms is None
    assert seen.certificate.days_left == 9.5
    assert [(peer.domain, peer.delivered_to, peer.bytes_to, peer.refused_from) for peer in seen.peers] == [
        ("peer.example", 1, 700, 1)
    ]
    assert seen.machine.open_files > 3 and seen.machine.disk_total_bytes > 0 and seen.machine.resident_bytes > 1 << 20
    assert seen.store.database_bytes > 0 and seen.push.delivered == 2
    assert seen.health.level in HealthLevel


async def test_what_another_server_said_is_shown_without_names(store: Store, tmp_path: Path) -> None:
    from chatmail.storage.store import Deferral

    await queue_message(store, Address("x", "peer.example"))
    (item,) = await store.queue.due("peer.example", START, 1, ())
    reply = "450 <x@peer.example> from [192.0.2.9] is greylisted"
    await store.queue.settle(item, START, deferral=Deferral(item.recipients, START + timedelta(hours=1), reply, True))
    (destination,) = (await service(store, tmp_path, Meters(), Clock()).snapshot()).queue.destinations
    assert destination.last_error == "450 <…> from […] is greylisted"
    assert destination.attempts == 1


async def test_those_who_ask_at_once_get_the_same_line(store: Store, tmp_path: Path) -> None:
    watched = service(store, tmp_path, Meters(), Clock())
    lines = await asyncio.gather(*(watched.encoded() for _ in range(10)))
    assert len(set(lines)) == 1 and decode_snapshot(lines[0]).mail_domain == "chat.example"


async def test_a_store_that_cannot_be_counted_is_told_by_its_last_counts(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = service(store, tmp_path, Meters(), Clock())

    async def fail(*_: object) -> None:
        raise StorageError("the disk is gone")

    for name in ("accounts", "queue", "store", "push"):
        monkeypatch.setattr(store.census, name, fail)
    assert (await watched.snapshot()).accounts.total == 0


async def test_an_error_of_the_disk_is_spoken_of_for_ten_minutes(store: Store, tmp_path: Path) -> None:
    meters, clock = Meters(), Clock()
    watched = service(store, tmp_path, meters, clock)
    meters.fail_store("no space left: disk is full", clock())
    seen = await watched.snapshot()
    assert seen.health.level is HealthLevel.BROKEN and seen.health.reasons[0].code == "disk_full"
    clock.now += timedelta(minutes=11)
    assert (await watched.snapshot()).store.last_error == ""


@asynccontextmanager
async def minutes(watched: StatusService, clock: Clock) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(watched.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def test_each_minute_is_kept_with_what_happened_in_it(store: Store, tmp_path: Path) -> None:
    meters, clock = Meters(), Clock()
    watched = service(store, tmp_path, meters, clock)
    clock.now = START + timedelta(seconds=29.98)  # the loop sleeps until the minute is full
    async with minutes(watched, clock):
        meters.local += 7
        meters.refuse("too_fast")
        meters.exists.record(0.002)
        clock.now = START + timedelta(seconds=31)
        async with asyncio.timeout(10):
            while not watched.last_day().points:
                await asyncio.sleep(0.01)
        assert (await watched.snapshot()).messages.local_last_minute == 7
    first, *_rest = watched.last_day().points
    assert (first.at, first.local, first.refused, first.imap_sessions) == (START.replace(second=0), 7, 1, 3)
    assert first.exists_p99_ms == pytest.approx(2, rel=0.2)
    assert watched.last_month().points[0].local == 7


async def test_a_stop_keeps_the_minute_under_way(store: Store, tmp_path: Path) -> None:
    meters, clock = Meters(), Clock()
    async with minutes(service(store, tmp_path, meters, clock), clock):
        meters.inbound += 3
        await asyncio.sleep(0)
    again = service(store, tmp_path, Meters(), clock)
    assert [point.inbound for point in again.last_day().points] == [3]


async def test_a_loop_that_is_held_up_is_noticed(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_module, "PULSE_SECONDS", 0.01)
    clock = Clock()
    watched = service(store, tmp_path, Meters(), clock)
    async with minutes(watched, clock):
        await asyncio.sleep(0.03)
        import time

        time.sleep(0.6)  # what no service may do
        await asyncio.sleep(0.05)
        seen = await watched.snapshot()
    assert seen.machine.loop_lag_ms > 400
    assert "server_slow" in [reason.code for reason in seen.health.reasons]
