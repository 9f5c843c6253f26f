"""How many messages one account may submit: GCRA, per message and not per recipient. Pure; `now` is passed in.

The generic cell rate algorithm keeps one number per account, the theoretical arrival time of its next message at the
steady rate. A message may be early by up to `burst - 1` intervals; one that is refused costs nothing.
"""

from dataclasses import dataclass
from typing import Final

from chatmail.mail.address import Address
from chatmail.mail.envelope import SmtpReply
from chatmail.policy.verdict import ACCEPT, Defer, Verdict

MAX_TRACKED_ACCOUNTS: Final = 50_000
"""Only who sent within the last `burst` intervals (10 s) is tracked: this is 5,000 different senders a second."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many messages a minute, after so many at once."""

    per_minute: int
    burst: int


def take(arrival: float, now: float, limit: RateLimit) -> float | None:
    """Take one message at `now` (seconds): the new theoretical arrival time, or None if it comes too early.

    `arrival` is what the last call gave; any time in the past for an account without one.
    """
    interval = 60 / limit.per_minute
    due = max(arrival, now)
    # The tolerance of a millionth keeps rounding from refusing the last message of a burst.
    return due + interval if due - now <= (limit.burst - 1) * interval + 1e-6 else None


class SendRates:
    """The arrival times of the accounts that are sending, of bounded number: the longest silent is forgotten first."""

    def __init__(self, limit: RateLimit) -> None:
        """One `limit` for every account."""
        self._limit = limit
        self._arrivals: dict[Address, float] = {}

    def take(self, account: Address, now: float) -> Verdict:
        """Count one message of `account` at `now`, seconds of any clock that only goes forward; or defer it."""
        arrival = take(self._arrivals.get(account, now), now, self._limit)
        if arrival is None:
            # The colon belongs to the text that clients and tests of other servers look for.
            return Defer(SmtpReply(450, f"4.7.1: Too much mail from <{account}>, please slow down"))
        self._arrivals.pop(account, None)
        self._arrivals[account] = arrival  # at the end: the dictionary's order is that of the last message
        self._forget(now)
        return ACCEPT

    def __len__(self) -> int:
        """How many accounts are tracked."""
        return len(self._arrivals)

    def _forget(self, now: float) -> None:
        oldest = next(iter(self._arrivals))
        while self._arrivals[oldest] <= now or len(self._arrivals) > MAX_TRACKED_ACCOUNTS:
            del self._arrivals[oldest]
            oldest = next(iter(self._arrivals))
