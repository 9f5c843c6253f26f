"""What comes of a DNS question, for those who deal with answers and do not ask: no dnspython is loaded for them.

That takes 2.5 MiB, which a server without names to look up never needs (`resolver.py`).
"""

from dataclasses import dataclass

from chatmail.errors import ChatmailError


class DnsFailureError(ChatmailError):
    """No answer: time-out, SERVFAIL, unreachable, malformed. Trying again later may help."""


class NoSuchDomainError(ChatmailError):
    """The name does not exist at all (NXDOMAIN)."""


@dataclass(frozen=True, slots=True)
class MailExchanger:
    """One MX record; `host` is lower case without the final dot, empty for a null MX (RFC 7505)."""

    preference: int
    host: str
