"""The SMTP envelope and the replies we give. RFC 5321, enhanced codes RFC 3463.

Every reply text a peer can see that more than one place needs is a name here, so that it exists once.
"""

from dataclasses import dataclass
from typing import Final

from chatmail.mail.address import Address


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """One SMTP reply line: `code`, optional enhanced status code, text."""

    code: int
    text: str
    enhanced: str = ""

    def __str__(self) -> str:
        """As it is written on the wire, without CRLF."""
        return f"{self.code} {self.enhanced} {self.text}" if self.enhanced else f"{self.code} {self.text}"

    @property
    def is_permanent(self) -> bool:
        """Whether trying again cannot help (5xx)."""
        return self.code >= 500


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends to whom. `mail_from` is None for the null sender `<>` (RFC 5321 §4.5.5)."""

    mail_from: Address | None
    rcpt_tos: tuple[Address, ...]


# The texts are those existing clients and relays know; `523` and `450` texts are matched by them word for word.
ENCRYPTION_NEEDED: Final = SmtpReply(523, "Encryption Needed: Invalid Unencrypted Mail")
UNPARSABLE_MESSAGE: Final = SmtpReply(500, "Failed to parse message")
MESSAGE_TOO_BIG: Final = SmtpReply(552, "Message exceeds maximum size")
NO_SUCH_RECIPIENT: Final = SmtpReply(550, "This address does not exist here", "5.1.1")
OVER_QUOTA: Final = SmtpReply(552, "The mailbox is full", "5.2.2")
STORAGE_FULL: Final = SmtpReply(452, "Not enough space to accept this now, please try again later", "4.3.1")
STORAGE_UNAVAILABLE: Final = SmtpReply(451, "The server cannot store this now, please try again later", "4.3.0")
