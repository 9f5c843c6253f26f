"""One client: a connection, its view of INBOX, and the commands it picks at random."""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from tests.stress.ledger import Ledger, body_hash
from tests.stress.view import FETCH, FLAGS, MODSEQ, UID, VANISHED, Known, View, uid_set
from tests.support.mail_client import ImapClient

MOST_MESSAGES = 120
"""Above this a mailbox gets no copies and no APPENDs, and more is removed."""
MOST_ROUNDS = 50
ANSWER_SECONDS = 60.0
LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
IDENTITY = re.compile(rb"^Message-ID: <([^@>]+)@", re.IGNORECASE | re.MULTILINE)
CODE = re.compile(rb"\[(APPENDUID|COPYUID) \d+ ([0-9,:]+)(?: ([0-9,:]+))?\]")
ASKED = "UID FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"
FREE_FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "$Work", "$Later")

Connect = Callable[[], Awaitable[ImapClient]]


@dataclass(frozen=True, slots=True)
class Response:
    """One untagged response: its text without literals, and these."""

    line: bytes
    literals: tuple[bytes, ...]


@dataclass
class Session:
    """A client that ends in `stop`. `uses_qresync` says how it comes back after it was cut off."""

    connect: Connect
    ledger: Ledger
    chance: Random
    sender: str
    uses_qresync: bool
    client: ImapClient = field(init=False)
    view: View = field(init=False)
    uid_validity: int = 0
    reconnects: int = 0
    transcript: deque[bytes] = field(default_factory=lambda: deque(maxlen=120))
    """The end of what was said, for the report of a failure."""

    # --- speaking ---

    async def responses(self, until: bytes) -> tuple[list[Response], bytes]:
        """All untagged responses up to the line that begins with `until`, and that line."""
        found: list[Response] = []
        while True:
            async with asyncio.timeout(ANSWER_SECONDS):
                line = await self.client.line()
            self.transcript.append(b"S: " + line[:300])
            if line.startswith(until):
                return found, line.rstrip(b"\r\n")
            literals: list[bytes] = []
            text = line
            while literal := LITERAL.search(text):
                literals.append(await self.client.reader.readexactly(int(literal[1])))
                text = text[: literal.start()] + b"{}" + await self.client.line()
            found.append(Response(text.rstrip(b"\r\n"), tuple(literals)))

    async def do(self, command: str, literal: bytes = b"") -> tuple[list[Response], bytes]:
        """One command, which must not be BAD; everything untagged goes into the view."""
        verb = command.split()[0] if not command.startswith("UID") else " ".join(command.split()[:2])
        self.ledger.commands[verb] += 1
        self.client.tag += 1
        tag = b"S%d" % self.client.tag
        self.transcript.append(b"C: " + command.encode())
        self.client.writer.write(tag + b" " + command.encode() + literal + b"\r\n")
        responses, end = await self.responses(tag + b" ")
        assert not end.startswith(tag + b" BAD"), f"{command}: {end!r}"
        by_number = verb in ("FETCH", "STORE", "SEARCH")
        for response in responses:
            self.view.hear(response.line, by_number=by_number)
            self._identify(response)
        self.view.note_end(by_number=by_number)
        return responses, end.removeprefix(tag + b" ")

    def _identify(self, response: Response) -> None:
        uid = UID.search(response.line) if FETCH.match(response.line) else None
        if uid is not None and len(response.literals) == 1:
            identity = IDENTITY.search(response.literals[0])
            assert identity is not None, response.literals[0][:200]
            self.ledger.seen(int(uid[1]), identity[1].decode())

    async def identify_all(self) -> None:
        """Ask who stands at the positions that were only counted."""
        for _ in range(MOST_ROUNDS):
            if not (positions := self.view.unknown()):
                return
            await self.do(f"FETCH {positions[0]}:{positions[-1]} ({ASKED})")
            if self.view.unknown():
                # Expunged meanwhile, which may only be said in answer to another command.
                await self.do("NOOP")
        raise AssertionError(f"positions {positions} are announced, and nobody is there")

    # --- beginning and coming back ---

    async def begin(self) -> None:
        """Connect and select, knowing nothing."""
        self.client = await self.connect()
        self.view = View(self.ledger.expunged)
        if self.uses_qresync:
            await self.do("ENABLE QRESYNC")
        await self.select()

    async def select(self) -> None:
        """SELECT, and learn everything."""
        gone_before = set(self.ledger.gone)
        self.view = View(self.ledger.expunged)
        responses, _ = await self.do("SELECT INBOX")
        self._note_validity(responses)
        await self.identify_all()
        assert not gone_before & set(self.view.uids()), "what was expunged is back"

    def _note_validity(self, responses: list[Response]) -> int:
        text = b"\n".join(response.line for response in responses)
        validity, highest = re.search(rb"UIDVALIDITY (\d+)", text), re.search(rb"HIGHESTMODSEQ (\d+)", text)
        assert validity is not None and highest is not None
        assert self.uid_validity in (0, int(validity[1])), "UIDVALIDITY never changes"
        self.uid_validity = int(validity[1])
        return int(highest[1])

    async def come_back(self) -> None:
        """Lose the connection without a word, and go on."""
        self.client.close()
        self.reconnects += 1
        if not self.uses_qresync or not self.view.synchronised_modseq:
            return await self.begin()
        await self._resynchronise()

    async def _resynchronise(self) -> None:
        """SELECT with QRESYNC makes of what was known the mailbox as it is at HIGHESTMODSEQ. RFC 7162 §3.2.5."""
        cache = {known.uid: known.flags for known in self.view.messages if known.uid is not None}
        since = self.view.synchronised_modseq
        self.client = await self.connect()
        await self.do("ENABLE QRESYNC")
        self.view = View(self.ledger.expunged)
        self.client.tag += 1
        tag = b"S%d" % self.client.tag
        self.ledger.commands["SELECT QRESYNC"] += 1
        self.client.writer.write(tag + b" SELECT INBOX (QRESYNC (%d %d))\r\n" % (self.uid_validity, since))
        responses, end = await self.responses(tag + b" ")
        assert end.startswith(tag + b" OK"), end
        highest = self._note_validity([*responses, Response(end, ())])
        for response in responses:
            if (vanished := VANISHED.match(response.line)) and vanished[1]:
                for number in uid_set(vanished[2]):
                    if cache.pop(number, None) is not None:
                        self.ledger.expunged(number)
                continue
            self.view.hear(response.line, by_number=False)
            if FETCH.match(response.line):
                uid, flags = UID.search(response.line), FLAGS.search(response.line)
                assert uid is not None and flags is not None, response.line
                cache[int(uid[1])] = frozenset(flags[1].split()) - {b"\\Recent"}
        gone: list[int] = []
        self.view.on_gone = gone.append
        self.view.messages = [Known() for _ in self.view.messages]
        truth: dict[int, frozenset[bytes]] = {}
        responses, _ = await self.do(f"UID FETCH 1:* ({ASKED})")
        for response in responses:
            uid, flags, modseq = (pattern.search(response.line) for pattern in (UID, FLAGS, MODSEQ))
            is_asked = FETCH.match(response.line) is not None and bool(response.literals)
            if is_asked and uid and flags and modseq and int(modseq[1]) <= highest:
                truth[int(uid[1])] = frozenset(flags[1].split()) - {b"\\Recent"}
        self.view.on_gone = self.ledger.expunged
        for uid_gone in gone:
            self.ledger.expunged(uid_gone)
        synchronised = {uid: flags for uid, flags in cache.items() if uid in truth}
        assert synchronised == truth, "QRESYNC leaves the client with other flags than the mailbox has"
        await self.identify_all()
        assert set(cache) <= set(self.view.uids()) | self.ledger.gone, "QRESYNC did not say what has gone"

    # --- at random ---

    async def work(self, stop: asyncio.Event) -> None:
        """One command after the other until `stop`."""
        actions: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            *(
                (8, self._fetch),
                (5, self._read),
                (8, self._flag),
                (4, self._flag_silently),
                (3, self._flag_if_unchanged),
            ),
            *((6, self._delete), (3, self._expunge), (2, self._move), (2, self._copy), (3, self._append)),
            *((4, self._search), (4, self._noop), (4, self._idle), (1, self._reselect), (1, self.come_back)),
        ]
        choices = [action for weight, action in actions for _ in range(weight)]
        try:
            while not stop.is_set():
                await self.chance.choice(choices)()
                await self.identify_all()
        except AssertionError as error:
            stop.set()
            error.add_note(b"\n".join(line.rstrip() for line in self.transcript).decode("ascii", "replace"))
            raise

    def _position(self) -> int | None:
        return self.chance.randint(1, len(self.view.messages)) if self.view.messages else None

    def _removable(self) -> tuple[int, int] | None:
        """A position and its UID that may be removed."""
        choices = [
            (index + 1, known.uid)
            for index, known in enumerate(self.view.messages)
            if known.uid is not None and self.ledger.may_go(known.uid)
        ]
        return self.chance.choice(choices) if choices else None

    async def _noop(self) -> None:
        await self.do(self.chance.choice(("NOOP", "CHECK", "STATUS Trash (MESSAGES UIDNEXT)")))

    async def _fetch(self) -> None:
        position = self._position()
        if position is None:
            return await self._noop()
        last = min(len(self.view.messages), position + self.chance.randint(0, 20))
        known = self.view.messages[position - 1].uid
        await self.do(
            self.chance.choice(
                (
                    f"FETCH {position}:{last} (UID FLAGS MODSEQ)",
                    f"FETCH {position} (UID RFC822.SIZE ENVELOPE BODYSTRUCTURE)",
                    f"UID FETCH {known}:* (FLAGS MODSEQ)",
                )
            )
        )

    async def _read(self) -> None:
        """A whole message must be the one that was put in, whoever expunges it meanwhile."""
        position = self._position()
        if position is None or (uid := self.view.messages[position - 1].uid) is None:
            return
        responses, _ = await self.do(f"UID FETCH {uid} (UID FLAGS MODSEQ BODY.PEEK[])")
        for response in responses:
            if response.literals and (said := UID.search(response.line)):
                assert int(said[1]) == uid
                sent = self.ledger.sent[self.ledger.uids[uid]]
                assert body_hash(response.literals[0]) == sent.body_hash, f"UID {uid} is not what was sent"

    async def _flag(self) -> None:
        position = self._position()
        if position is None:
            return
        sign, flag = self.chance.choice("+-"), self.chance.choice(FREE_FLAGS)
        uid = self.view.messages[position - 1].uid
        by_number, by_uid = f"STORE {position} {sign}FLAGS ({flag})", f"UID STORE {uid} {sign}FLAGS ({flag})"
        await self.do(self.chance.choice((by_number, by_uid)))

    async def _flag_silently(self) -> None:
        """What a client is not told it must not assume: others may have been there."""
        position = self._position()
        if position is None:
            return
        last = min(len(self.view.messages), position + self.chance.randint(0, 5))
        await self.do(
            f"STORE {position}:{last} {self.chance.choice('+-')}FLAGS.SILENT ({self.chance.choice(FREE_FLAGS)})"
        )
        last = min(len(self.view.messages), last)
        if position <= last:
            await self.do(f"FETCH {position}:{last} (UID FLAGS MODSEQ)")

    async def _flag_if_unchanged(self) -> None:
        position = self._position()
        if position is None or not (known := self.view.messages[position - 1]).modseq:
            return
        flag = self.chance.choice(FREE_FLAGS)
        had, modseq = known.flags, known.modseq
        _, end = await self.do(f"UID STORE {known.uid} (UNCHANGEDSINCE {modseq}) +FLAGS ({flag})")
        if b"MODIFIED" in end and known.uid not in self.ledger.gone and known in self.view.messages:
            await self.do(f"UID FETCH {known.uid} (FLAGS MODSEQ)")
            assert known.modseq > modseq or known not in self.view.messages, f"{had} was not modified"

    async def _delete(self) -> None:
        if (found := self._removable()) is None:
            return
        position, uid = found
        self.ledger.remove(uid)
        by_number, by_uid = f"STORE {position} +FLAGS (\\Deleted)", f"UID STORE {uid} +FLAGS (\\Deleted)"
        await self.do(self.chance.choice((by_number, by_uid)))
        if len(self.view.messages) > MOST_MESSAGES:
            await self._expunge()

    async def _expunge(self) -> None:
        uids = self.view.uids()
        some = f"UID EXPUNGE {uids[len(uids) // 2]}:*" if uids else "EXPUNGE"
        await self.do(self.chance.choice(("EXPUNGE", some)))

    async def _move(self) -> None:
        if (found := self._removable()) is None:
            return
        position, uid = found
        self.ledger.remove(uid)
        responses, end = await self.do(self.chance.choice((f"MOVE {position} Trash", f"UID MOVE {uid} Trash")))
        for text in (*(response.line for response in responses), end):
            if code := CODE.search(text):
                (new,) = uid_set(code[3])
                assert uid_set(code[2]) == [uid] and new not in self.ledger.moved
                self.ledger.moved[new] = self.ledger.uids[uid]

    async def _copy(self) -> None:
        position = self._position()
        if position is None or len(self.view.messages) > MOST_MESSAGES:
            return
        uid, floor = self.view.messages[position - 1].uid, self.ledger.last_uid
        assert uid is not None
        _, end = await self.do(self.chance.choice((f"COPY {position} INBOX", f"UID COPY {uid} INBOX")))
        if code := CODE.search(end):
            (new,) = uid_set(code[3])
            assert uid_set(code[2]) == [uid]
            self.ledger.assigned(new, self.ledger.uids[uid], floor)

    async def _append(self) -> None:
        if len(self.view.messages) > MOST_MESSAGES:
            return
        sent, message = self.ledger.new_message(self.sender)
        floor = self.ledger.last_uid
        _, end = await self.do(f"APPEND INBOX (\\Seen) {{{len(message)}+}}\r\n", message)
        code = CODE.search(end)
        assert end.startswith(b"OK") and code is not None, end
        self.ledger.assigned(int(code[2]), sent.identity, floor)
        self.ledger.confirmed.add(sent.identity)

    async def _search(self) -> None:
        uids = self.view.uids()
        middle = uids[len(uids) // 2] if uids else 1
        keys = ("ALL", "DELETED", "UNSEEN KEYWORD $Work", f"UID {middle}:*", "OR FLAGGED ANSWERED", "LARGER 10000")
        command = f"{self.chance.choice(('', 'UID '))}SEARCH {self.chance.choice(keys)}"
        responses, _ = await self.do(command)
        if command == "SEARCH ALL":
            (line,) = [response.line for response in responses if response.line.startswith(b"* SEARCH")]
            left_out = set(range(1, len(uids) + 1)) - {int(number) for number in line.split()[2:]}
            # Expunged by another session, and not told yet (RFC 2180 §4.1).
            assert all(self.ledger.is_removable(uids[number - 1]) for number in left_out), "SEARCH ALL leaves some out"

    async def _idle(self) -> None:
        self.ledger.commands["IDLE"] += 1
        self.client.tag += 1
        tag = b"S%d " % self.client.tag
        self.client.writer.write(tag + b"IDLE\r\n")
        before, _ = await self.responses(b"+")
        await asyncio.sleep(self.chance.random() * 0.3)
        self.client.writer.write(b"DONE\r\n")
        after, end = await self.responses(tag)
        assert end.startswith(tag + b"OK"), end
        for response in (*before, *after):
            self.view.hear(response.line, by_number=False)
        self.view.note_end(by_number=False)

    async def _reselect(self) -> None:
        """CLOSE expunges without a word, UNSELECT does not."""
        await self.do(self.chance.choice(("CLOSE", "UNSELECT")))
        await self.select()

    # --- the end ---

    async def settle(self) -> None:
        """Hear what there is still to hear."""
        for _ in range(2):
            await self.do("NOOP")
            await self.identify_all()

    def knowledge(self) -> dict[int, frozenset[bytes] | None]:
        """Flags by UID, as this client believes them to be."""
        return {known.uid: known.flags for known in self.view.messages if known.uid is not None}
