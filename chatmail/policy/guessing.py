"""How often a password may be guessed. Pure: `now` is a monotonic clock in seconds.

Wrong passwords are counted for each pair of a network and an account, so whoever guesses shuts out neither the
account's owner elsewhere nor their own neighbours behind the same address: those have accounts of their own. An
unknown name is no guess, for the first login makes it an account. Memory is bounded; nothing is written down.
"""

from collections import OrderedDict
from typing import Final

from chatmail.policy.sign_up_rate import network_of

WRONG_LOGIN_SECONDS: Final = 1.0
"""How long the answer to a wrong password takes."""
BURST: Final = 20
"""Wrong passwords in a row: a person who mistypes, and a phone that goes on with an old password, are well below."""
REFILL_SECONDS: Final = 30.0
"""One more try so often."""
MAX_PAIRS: Final = 8192
"""Pairs remembered; beyond, the one that failed longest ago is forgotten."""


class GuessLimit:
    """Token buckets kept as one number each: the moment at which the bucket is full again."""

    __slots__ = ("_full_at",)

    def __init__(self) -> None:
        """Nobody has guessed yet."""
        self._full_at: OrderedDict[tuple[str, str], float] = OrderedDict()

    def take(self, peer: str, account: str, now: float) -> bool:
        """Whether a password for `account` may be checked for `peer`, an IP address; it counts until it is right."""
        pair = (network_of(peer), account)
        full_at = max(self._full_at.get(pair, now), now)
        if full_at - now > (BURST - 1) * REFILL_SECONDS:
            return False
        self._full_at[pair] = full_at + REFILL_SECONDS
        self._full_at.move_to_end(pair)
        if len(self._full_at) > MAX_PAIRS:
            self._full_at.popitem(last=False)
        return True

    def give_back(self, peer: str, account: str) -> None:
        """The password was right: whoever has it may come as often as they like."""
        self._full_at.pop((network_of(peer), account), None)
