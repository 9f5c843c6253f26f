"""All messages of the dashboard: what the workers found out, posted to the app."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from textual.message import Message

from installer.dashboard.moment import Moment, Outage


@dataclass
class MomentTaken(Message):
    """The server answered. Only the last counts: on a slow line earlier ones are passed over."""

    moment: Moment

    def can_replace(self, message: Message) -> bool:
        """One that waits is out of date."""
        return isinstance(message, MomentTaken)


@dataclass
class ServerLost(Message):
    """The server does not answer."""

    outage: Outage

    def can_replace(self, message: Message) -> bool:
        """Only the last counts."""
        return isinstance(message, ServerLost)


@dataclass
class LogRead(Message):
    """The last lines of the log, or the sentence that says why there are none."""

    lines: Sequence[str]
    problem: str = ""

    def can_replace(self, message: Message) -> bool:
        """Only the last counts."""
        return isinstance(message, LogRead)


@dataclass
class ItemsRead(Message):
    """What waits for a domain, item by item."""

    domain: str
    items: Sequence[dict[str, Any]]
    problem: str = ""


@dataclass
class AccountRead(Message):
    """What is known of the account somebody asked for."""

    address: str
    facts: dict[str, Any]
    problem: str = ""


@dataclass
class InvitationMade(Message):
    """The link of a new invitation."""

    link: str


@dataclass
class CommandProgress(Message):
    """How far a command is."""

    text: str


@dataclass
class CommandDone(Message):
    """A command came to its end; `sentence` says how."""

    title: str
    sentence: str
    failed: bool = False


@dataclass
class LineBroken(Message):
    """Nobody is at the other end of the terminal any more."""
