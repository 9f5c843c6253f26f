"""`kill -9` in the middle of a load: what was answered 250 is there, once, whole, its UID unchanged."""

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.mail_client import ImapClient, SmtpClient, accept_any_certificate
from tests.support.messages import encrypted_message
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
