"""How a thing is, as a sign and a colour; and which reasons of the server's verdict concern it.

Pure. The verdict is the server's own: nothing here judges figures anew.
"""

from enum import Enum
from typing import Final

from chatmail.api import Health, HealthLevel


class Mark(Enum):
    """A sign with the theme's colour for it; the colour never says more than the sign."""

    FINE = ("✔", "$success")
    DEGRADED = ("▲", "$warning")
    BROKEN = ("✖", "$error")

    @property
    def sign(self) -> str:
        """One character."""
        return self.value[0]

    @property
    def color(self) -> str:
        """A variable of the theme."""
        return self.value[1]


class Topic(Enum):
    """What the codes of its reasons begin with."""

    CERTIFICATE = ("certificate_", "clock_")
    DNS = ("dns_",)
    DISK = ("disk_", "store_")
    QUEUE = ("nothing_gets_out",)
    PUSH = ("notifier_",)
    EXPIRY = ("expiry_",)
    IMAP = ("imap_",)
    SMTP = ("smtp_",)
    FILES = ("open_files",)
    LOOP = ("server_slow",)


MARKS: Final = {HealthLevel.FINE: Mark.FINE, HealthLevel.DEGRADED: Mark.DEGRADED, HealthLevel.BROKEN: Mark.BROKEN}
_SEVERITY: Final = list(HealthLevel)


def mark_of(health: Health, topic: Topic) -> Mark:
    """The worst of what the server says of it."""
    levels = [reason.level for reason in health.reasons if reason.code.startswith(topic.value)]
    return MARKS[max(levels, key=_SEVERITY.index)] if levels else Mark.FINE
