"""What all clients together know of a mailbox: which messages there may be, under which UIDs, and which have gone."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from tests.support.messages import encrypted_message


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that somebody puts in. Of `kept` ones nobody may ever lose a single one."""

    identity: str
    body_hash: bytes
    kept: bool


def body_hash(message: bytes) -> bytes:
    """Of what follows the header block, which a submission changes."""
    return hashlib.sha256(message.partition(b"\r\n\r\n")[2]).digest()


@dataclass
class Ledger:
    """Claims of the server, each checked against all earlier ones."""

    chance: Random
    sent: dict[str, Sent] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    """Identities whose delivery or APPEND was answered positively."""
    uids: dict[int, str] = field(default_factory=dict)
    """What was ever seen in the mailbox."""
    removable: set[str] = field(default_factory=set)
    """Identities of which somebody has flagged one \\Deleted, or moves it away; copies take the flag along."""
    gone: set[int] = field(default_factory=set)
    """What somebody was told to be expunged."""
    moved: dict[int, str] = field(default_factory=dict)
    """UIDs in the other mailbox, by COPYUID."""
    commands: Counter[str] = field(default_factory=Counter)

    @property
    def last_uid(self) -> int:
        """The highest UID anybody has seen."""
        return max(self.uids, default=0)

    def new_message(self, sender: str) -> tuple[Sent, bytes]:
        """Something to put in; a few are larger than what the store keeps in the database."""
        size = 300_000 if self.chance.random() < 0.02 else self.chance.choice((1500, 5000, 20_000))
        identity = f"stress-{len(self.sent)}"
        message = encrypted_message(sender, size_bytes=size, message_id=identity)
        sent = Sent(identity, body_hash(message), kept=self.chance.random() < 0.2)
        self.sent[identity] = sent
        return sent, message

    def seen(self, uid: int, identity: str) -> None:
        """A session was told who is behind a UID."""
        assert identity in self.sent, f"UID {uid} is {identity!r}, which nobody has put in"
        assert self.uids.setdefault(uid, identity) == identity, f"UID {uid} was {self.uids[uid]} and is {identity}"

    def assigned(self, uid: int, identity: str, floor: int) -> None:
        """APPENDUID or COPYUID: a new UID, above all that there were when the command began."""
        assert uid > floor, f"UID {uid} is given out though {floor} was known"
        assert uid not in self.gone, f"UID {uid} is given out again"
        self.seen(uid, identity)

    def expunged(self, uid: int) -> None:
        """A session was told that a message is gone."""
        assert self.is_removable(uid), f"UID {uid} is gone and nobody had asked for it"
        self.gone.add(uid)

    def is_removable(self, uid: int) -> bool:
        """Whether somebody may have removed it."""
        return self.uids[uid] in self.removable

    def remove(self, uid: int) -> None:
        """A client begins to remove it."""
        self.removable.add(self.uids[uid])

    def may_go(self, uid: int) -> bool:
        """Whether a client may remove it."""
        identity = self.uids.get(uid)
        return identity is not None and not self.sent[identity].kept

    def check_end(self, present: dict[int, str]) -> None:
        """Nothing is lost and nothing is back, when `present` is all that is there."""
        for uid, identity in present.items():
            self.seen(uid, identity)
        assert not self.gone & set(present), "what was expunged is back"
        missing = set(self.uids) - set(present) - self.gone
        lost = sorted(uid for uid in missing if not self.is_removable(uid))
        assert not lost, f"lost: {lost}"
        assert self.confirmed <= set(self.uids.values()), "confirmed, and never seen"
        kept = {identity for identity in self.confirmed if self.sent[identity].kept}
        assert kept <= set(present.values()), "a message that nobody removed is lost"
