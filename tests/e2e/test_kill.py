"""`kill -9` in the middle of a load: what was answered 250 is there, once, whole, its UID unchanged.

The slow test does it at full load: throughput is what limits it, by every way in, to one recipient and to twenty.
"""

import asyncio
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import pytest

from tests.support.dkim_samples import FOREIGN, SELECTOR, record, sign
from tests.support.mail_client import ImapClient, SmtpClient, accept_any_certificate
from tests.support.messages import encrypted_message
from tests.support.name_server import NameServer
from tests.support.relay import Credentials, Relay, ServedRelay

ROUNDS = 5
SENDERS = 4
SIZES = (3_000, 3_000, 40_000, 600_000)
"""Small and large bodies: rows and files."""

NO_RATE_LIMIT = "[mail]\nmax_user_send_per_minute = 1000000\nmax_user_send_burst_size = 1000000\n"


@dataclass(slots=True)
class Ledger:
    """What the senders know: Message-IDs answered 250, and those whose answer never came."""

    accepted: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)


async def send_until_killed(relay: Relay, sender: Credentials, receiver: str, ledger: Ledger, name: str) -> None:
    client = await SmtpClient.connect(relay.host, relay.port(465), accept_any_certificate())
    await client.login(sender.address, sender.password)
    try:
        for number in range(10_000):
            message_id = f"{name}-{number}"
            ledger.unanswered.add(message_id)
            size = SIZES[number % len(SIZES)]
            message = encrypted_message(sender.address, size_bytes=size, message_id=message_id)
            await client.send(sender.address, [receiver], message)
            ledger.unanswered.discard(message_id)
            ledger.accepted.add(message_id)
    except (OSError, asyncio.IncompleteReadError):
        # The kill ends every connection; what had no answer by then may or may not be stored.
        return
    finally:
        client.close()


async def load_and_kill(relay: Relay, senders: list[Credentials], receiver: str, ledger: Ledger, round_: int) -> None:
    target = len(ledger.accepted) + random.randrange(20, 120)
    tasks = [
        asyncio.create_task(send_until_killed(relay, sender, receiver, ledger, f"r{round_}s{index}"))
        for index, sender in enumerate(senders)
    ]
    while len(ledger.accepted) < target and not all(task.done() for task in tasks):
        await asyncio.sleep(0.002)
    relay.kill()
    await asyncio.gather(*tasks)


async def stored(relay: Relay, receiver: Credentials) -> list[tuple[int, str]]:
    """(UID, Message-ID) of every message in the INBOX, each checked to be whole."""
    client = await ImapClient.connect(relay.host, relay.port(993), accept_any_certificate())
    await client.login(receiver.address, receiver.password)
    await client.command('SELECT "INBOX"')
    parts = await client.command("UID FETCH 1:* (UID RFC822.SIZE BODY.PEEK[])")
    client.close()
    found = []
    for line, body in zip(parts[0::3], parts[1::3], strict=True):
        uid, size = re.search(rb"UID (\d+)", line), re.search(rb"RFC822.SIZE (\d+)", line)
        message_id = re.search(rb"\r\nMessage-ID: <(.*?)@", body)
        assert uid and size and message_id, line
        assert len(body) == int(size[1])
        assert body.endswith(b"-----END PGP MESSAGE-----\r\n\r\n--7f4c1a-boundary--\r\n")
        found.append((int(uid[1]), message_id[1].decode()))
    return found


async def test_nothing_answered_250_is_lost_or_doubled_by_kill_9(
    pyz: Path, free_loopback_address: str, tmp_path: Path
) -> None:
    relay = ServedRelay(pyz, free_loopback_address, tmp_path / "data", settings=NO_RATE_LIMIT).start()
    try:
        receiver = relay.new_account()
        senders = [relay.new_account() for _ in range(SENDERS)]
        first = await ImapClient.connect(relay.host, relay.port(993), accept_any_certificate())
        await first.login(receiver.address, receiver.password)
        first.close()
        ledger = Ledger()
        earlier: dict[str, int] = {}
        for round_ in range(ROUNDS):
            await load_and_kill(relay, senders, receiver.address, ledger, round_)
            relay.start()
            found = await stored(relay, receiver)
            uids = [uid for uid, _ in found]
            assert uids == sorted(set(uids))
            counts = Counter(message_id for _, message_id in found)
            assert max(counts.values()) == 1
            assert ledger.accepted <= counts.keys() <= ledger.accepted | ledger.unanswered
            now = {message_id: uid for uid, message_id in found}
            assert earlier.items() <= now.items(), "a UID changed over a restart"
            earlier = now
        assert len(ledger.accepted) >= ROUNDS * 20
    finally:
        relay.stop()


# --- at full load -----------------------------------------------------------------------------------------------------

KILLS = 20
RECIPIENTS = 20
TO_ONE, TO_ALL, FROM_ELSEWHERE = 12, 4, 4
"""Connections by what they send: submissions to one recipient, to all of them, and mail of another server (port 25)."""
ENOUGH = (300, 900)
"""So many messages are accepted, since the last start, before the next kill comes."""
FOREIGN_SENDER = f"alice@{FOREIGN}"
NAME_BEHIND = "message-0000000000"
"""Stands in a message for the name it gets; as long as those are."""

Recipients = tuple[str, ...]


@dataclass(slots=True)
class FullLedger:
    """By Message-ID, who the message is for."""

    accepted: dict[str, Recipients] = field(default_factory=dict)
    unanswered: dict[str, Recipients] = field(default_factory=dict)
    by_way: Counter[str] = field(default_factory=Counter)
    count: int = 0

    def new_name(self) -> str:
        self.count += 1
        return f"message-{self.count:010}"


async def keep_sending(
    client: SmtpClient, way: str, sender: str, message: bytes, recipients: Callable[[], Recipients], ledger: FullLedger
) -> None:
    """Until the server is killed."""
    try:
        while True:
            name, to = ledger.new_name(), recipients()
            ledger.unanswered[name] = to
            await client.send(sender, list(to), message.replace(NAME_BEHIND.encode(), name.encode()))
            ledger.accepted[name] = ledger.unanswered.pop(name)
            ledger.by_way[way] += 1
    except (OSError, asyncio.IncompleteReadError):
        return
    finally:
        client.close()


async def submission_client(relay: Relay, account: Credentials) -> SmtpClient:
    client = await SmtpClient.connect(relay.host, relay.port(465), accept_any_certificate())
    await client.login(account.address, account.password)
    return client


async def foreign_client(relay: Relay) -> SmtpClient:
    client = await SmtpClient.connect(relay.host, relay.port(25), None)
    await client.command("STARTTLS", "220")
    await client.writer.start_tls(accept_any_certificate())
    await client.command("EHLO mx.other.example", "250")
    return client


async def full_load(relay: Relay, accounts: list[Credentials], foreign: bytes, ledger: FullLedger) -> float:
    """Begin, and kill; how many messages a second were accepted."""
    everybody = tuple(account.address for account in accounts)

    def one() -> Recipients:
        return (random.choice(everybody),)

    submitting = [await submission_client(relay, account) for account in accounts[: TO_ONE + TO_ALL]]
    elsewhere = [await foreign_client(relay) for _ in range(FROM_ELSEWHERE)]
    before, began = len(ledger.accepted), perf_counter()
    tasks = [
        asyncio.create_task(keep_sending(client, "port 25", FOREIGN_SENDER, foreign, one, ledger))
        for client in elsewhere
    ]
    for number, (client, account) in enumerate(zip(submitting, accounts, strict=False)):
        message = encrypted_message(account.address, message_id=NAME_BEHIND)
        way, to = ("to one", one) if number < TO_ONE else ("to twenty", lambda: everybody)
        tasks.append(asyncio.create_task(keep_sending(client, way, account.address, message, to, ledger)))
    goal = before + random.randrange(*ENOUGH)
    while len(ledger.accepted) < goal and not all(task.done() for task in tasks):
        await asyncio.sleep(0.001)
    relay.kill()
    rate = (len(ledger.accepted) - before) / (perf_counter() - began)
    await asyncio.gather(*tasks)
    return rate


async def take_out(relay: Relay, account: Credentials) -> tuple[list[int], list[str]]:
    """UIDs and Message-IDs of the whole INBOX, which is empty then."""
    client = await ImapClient.connect(relay.host, relay.port(993), accept_any_certificate())
    await client.login(account.address, account.password)
    await client.command('SELECT "INBOX"')
    parts = await client.command("UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    await client.command("STORE 1:* +FLAGS.SILENT (\\Deleted)") if parts else None
    await client.command("EXPUNGE")
    client.close()
    uids = [int(found[1]) for line in parts if (found := re.search(rb"FETCH \(UID (\d+)", line))]
    return uids, [found[1].decode() for part in parts if (found := re.search(rb"<(message-\d+)@", part))]


@pytest.fixture
def name_server(free_loopback_address: str, tmp_path: Path) -> Iterator[NameServer]:
    (tmp_path / "dns").mkdir()
    key = " ".join(f'"{record()[start : start + 200].decode()}"' for start in range(0, len(record()), 200))
    zones = {FOREIGN: f"{SELECTOR}._domainkey IN TXT {key}\n"}
    with NameServer(tmp_path / "dns", free_loopback_address, zones) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_nothing_answered_250_at_full_load_is_lost_by_twenty_kills(
    pyz: Path, loopback_address: str, tmp_path: Path, name_server: NameServer
) -> None:
    settings = f'{NO_RATE_LIMIT}[dns]\nresolvers = ["{name_server.address}"]\n'
    # Of the Message-ID the signature says nothing, so that every message can have its own.
    foreign = sign(encrypted_message(FOREIGN_SENDER, message_id=NAME_BEHIND), include_headers=[b"from", b"date"])
    relay = ServedRelay(pyz, loopback_address, tmp_path / "data", settings=settings).start()
    ledger, copies, rates = FullLedger(), 0, []
    last_uids: dict[str, int] = defaultdict(int)
    try:
        accounts = [relay.new_account() for _ in range(RECIPIENTS)]
        for account in accounts:
            (await submission_client(relay, account)).close()
        for _ in range(KILLS):
            ledger.unanswered.clear()
            known = set(ledger.accepted)
            rates.append(await full_load(relay, accounts, foreign, ledger))
            relay.start()
            found: dict[str, list[str]] = defaultdict(list)
            for account in accounts:
                uids, names = await take_out(relay, account)
                assert len(uids) == len(names)
                assert uids == sorted(set(uids)) and (not uids or uids[0] > last_uids[account.address])
                last_uids[account.address] = max(uids, default=last_uids[account.address])
                for name in names:
                    found[name].append(account.address)
            now = {name: to for name, to in ledger.accepted.items() if name not in known}
            assert now.keys() <= found.keys() <= now.keys() | ledger.unanswered.keys()
            for name, holders in found.items():
                # Once each, and to twenty all or none.
                assert sorted(holders) == sorted((now | ledger.unanswered)[name]), name
            copies += sum(map(len, found.values()))
    finally:
        relay.stop()
    print(
        f"{KILLS} kills at {min(rates):.0f} to {max(rates):.0f} messages/s: {len(ledger.accepted)} answered 250"
        f" ({dict(ledger.by_way)}), {copies} copies found, none lost, none twice"
    )
    assert all(ledger.by_way[way] for way in ("to one", "to twenty", "port 25"))
