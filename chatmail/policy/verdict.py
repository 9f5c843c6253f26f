"""What a policy answers."""

from dataclasses import dataclass
from typing import Final

from chatmail.mail.envelope import SmtpReply


@dataclass(frozen=True, slots=True)
class Accept:
    """It may pass."""


@dataclass(frozen=True, slots=True)
class Reject:
    """It may never pass; `reply` is 5xx."""

    reply: SmtpReply


@dataclass(frozen=True, slots=True)
class Defer:
    """Not now; `reply` is 4xx."""

    reply: SmtpReply


Verdict = Accept | Reject | Defer
ACCEPT: Final = Accept()
