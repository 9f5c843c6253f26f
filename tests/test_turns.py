"""Who gets the event loop when many want it. The clock is the test's own: work takes what a test says."""

import asyncio
from collections.abc import Iterator

import pytest

from chatmail import turns as module
from chatmail.turns import ROUND_SECONDS, TURN_SECONDS, Turn, Turns


class Clock:
    """Stands still but for the work that is done."""

    def __init__(self) -> None:
        self.now = 1.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(module, "perf_counter", clock)
    yield clock


async def flood(turn: Turn, clock: Clock, done: list[str], name: str) -> None:
    """Work without an end, a turn at a time."""
    await turn.begin()
    while True:
        clock.now += TURN_SECONDS
        done.append(name)
        if turn.is_over:
            await turn.next()


async def flooded(turns: Turns, clock: Clock, owners: list[str]) -> tuple[list[str], list["asyncio.Task[None]"]]:
    """One connection for each name in `owners`, all at work; and what is done from now on."""
    done: list[str] = []
    tasks = [asyncio.create_task(flood(turns.turn(owner), clock, done, owner)) for owner in owners]
    for _ in range(100):
        await asyncio.sleep(0)
    return done, tasks


async def end(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_nobody_waits_while_the_loop_is_not_busy(clock: Clock) -> None:
    turns = Turns()
    for owner in range(100):
        beginning = turns.turn(owner).begin()
        with pytest.raises(StopIteration):
            beginning.send(None)  # it ends without having waited once


async def test_a_flood_from_many_connections_of_one_owner_costs_another_no_more_than_a_round(clock: Clock) -> None:
    turns = Turns()
    done, tasks = await flooded(turns, clock, ["flooder"] * 200)
    for _ in range(5):
        began_at = clock.now
        honest = turns.turn("honest")
        await honest.begin()
        assert clock.now - began_at <= 2 * ROUND_SECONDS
        clock.now += TURN_SECONDS
        honest.end()
        await asyncio.sleep(0)
    assert done
    await end(tasks)


async def test_an_owner_with_one_connection_has_a_turn_in_every_round_beside_one_with_many(clock: Clock) -> None:
    turns = Turns()
    done, tasks = await flooded(turns, clock, ["many"] * 50 + ["few"])
    done.clear()
    while len(done) < 400:
        await asyncio.sleep(0)
    assert done.count("few") >= len(done) * TURN_SECONDS / ROUND_SECONDS - 5
    await end(tasks)


async def test_who_was_idle_has_saved_nothing_up(clock: Clock) -> None:
    turns = Turns()
    idle = turns.turn("late")
    done, tasks = await flooded(turns, clock, ["early"])
    tasks.append(asyncio.create_task(flood(idle, clock, done, "late")))
    await asyncio.sleep(0)
    done.clear()
    while len(done) < 200:
        await asyncio.sleep(0)
    assert 80 <= done.count("late") <= 120
    await end(tasks)


async def test_those_who_wait_and_go_away_keep_nobody_waiting(clock: Clock) -> None:
    turns = Turns()
    done, tasks = await flooded(turns, clock, ["flooder"] * 20)
    gone = [asyncio.create_task(turns.turn("flooder").begin()) for _ in range(20)]
    await asyncio.sleep(0)
    await end(gone)
    await end(tasks[:19])
    done.clear()
    while len(done) < 10:
        await asyncio.sleep(0)
    await end(tasks)


async def test_a_login_takes_a_connection_out_of_the_share_of_the_strangers(clock: Clock) -> None:
    turns = Turns()
    _, tasks = await flooded(turns, clock, ["network"] * 50)
    turn = turns.turn("network")
    turn.belongs_to("account")
    began_at = clock.now
    await turn.begin()
    assert clock.now - began_at <= 2 * ROUND_SECONDS
    await end(tasks)


async def test_who_sends_much_and_needs_little_for_it_waits_all_the_same(clock: Clock) -> None:
    turns = Turns()
    reader, other = turns.turn("reader"), turns.turn("other")
    for turn, size_bytes in ((reader, 10_000_000), (other, 0)):
        await turn.begin()
        turn.read(size_bytes)
        turn.end()
    order: list[str] = []

    async def take(turn: Turn, name: str) -> None:
        await turn.begin()
        order.append(name)
        turn.end()

    turns.pause()
    await asyncio.gather(take(reader, "reader"), take(other, "other"))
    assert order == ["other", "reader"]
