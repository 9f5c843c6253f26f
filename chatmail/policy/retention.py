"""What is kept for how long, and when the clock is to be believed. Pure: `now` is an argument.

A message's age counts from its arrival here, never from its Date field. Where the store knows two moments, when it was
received (INTERNALDATE, which a client chooses in APPEND) and when it came into its mailbox, the earlier one counts, so
that neither a date in the future nor a move keeps a message for ever.

Removal cannot be undone, so the loop that removes does nothing until the clock has run evenly for a while: a machine
that starts in 2090 because its battery is empty must not lose everything before the time service has set it right.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from chatmail.config import Config

LARGE_BYTES: Final = 200_000
"""Messages above this count as large."""
QUOTA_HIGH_PERCENT: Final = 75
"""An account that is fuller than this loses its oldest mail …"""
QUOTA_LOW_PERCENT: Final = 70
"""… down to this. Clients warn at 80 and 95, which nobody should ever see."""
PROTECTED_SECONDS: Final = 24 * 3600
"""Mail younger than this never makes room for other mail."""
TOKEN_DAYS: Final = 90
"""A device token that was not set again for so long is forgotten."""

SETTLING: Final = timedelta(days=1)
"""How long the clock must run evenly after a jump before anything is removed by age."""
MAX_GAP: Final = timedelta(days=3)
"""A server that was off for longer, or whose clock leapt, waits for `SETTLING` too: which it was cannot be told."""
MAX_STEP_BACK: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """What is over its time at one moment. Times are Unix seconds, days proleptic ordinals."""

    mail_before: int
    """A message that arrived before this is removed."""
    large_mail_before: int
    """A message above `LARGE_BYTES` that arrived before this is removed."""
    last_login_before: int
    """An account whose last login was on an earlier day is removed."""
    tokens_before: int
    """A device token that was last set before this is removed."""
    now: int
    """The moment itself; what claims to be later than that arrived now."""

    def is_expired_mail(self, received_at: int, saved_at: int, size_bytes: int) -> bool:
        """Whether a message goes. The same rule, as SQL, is in the store."""
        arrived_at = min(received_at, saved_at)
        return arrived_at < self.mail_before or (size_bytes > LARGE_BYTES and arrived_at < self.large_mail_before)

    def is_expired_account(self, last_login_on: date) -> bool:
        """Whether an account goes."""
        return last_login_on.toordinal() < self.last_login_before


def retention_limits(config: Config, now: datetime) -> RetentionLimits:
    """The limits of `config` at `now` (aware UTC)."""
    seconds = int(now.timestamp())
    today = now.astimezone(UTC).date().toordinal()
    return RetentionLimits(
        mail_before=seconds - config.mail.delete_mails_after * 86400,
        large_mail_before=seconds - config.mail.delete_large_after * 86400,
        last_login_before=today - config.accounts.delete_inactive_users_after,
        tokens_before=seconds - TOKEN_DAYS * 86400,
        now=seconds,
    )


def excess_bytes(usage_bytes: int, incoming_bytes: int, quota_bytes: int) -> int:
    """How much of an account's mail should make room for a message of `incoming_bytes`; 0 if it is not near full."""
    wanted = usage_bytes + incoming_bytes
    if wanted * 100 <= quota_bytes * QUOTA_HIGH_PERCENT:
        return 0
    return wanted - quota_bytes * QUOTA_LOW_PERCENT // 100


@dataclass(slots=True)
class ClockTrust:
    """Watches wall and monotonic clock side by side. `seen_at` is when the clock was last looked at, in any run."""

    seen_at: datetime | None
    settled_at_monotonic: float = 0.0
    _last_monotonic: float | None = None

    def jumped(self, now: datetime, monotonic: float) -> bool:
        """Look at the clocks; whether they tell of a jump since the last look. Call it every hour or so."""
        before, self.seen_at = self.seen_at, now
        last, self._last_monotonic = self._last_monotonic, monotonic
        if before is None:
            return False
        elapsed = now - before
        if last is None:
            is_even = -MAX_STEP_BACK <= elapsed <= MAX_GAP
        else:
            is_even = abs(elapsed - timedelta(seconds=monotonic - last)) <= MAX_STEP_BACK
        if not is_even:
            self.settled_at_monotonic = monotonic + SETTLING.total_seconds()
        return not is_even

    def is_settled(self, monotonic: float) -> bool:
        """Whether removing by age is safe."""
        return monotonic >= self.settled_at_monotonic
