"""Which accounts may come into being on a first login: names, passwords, registration. Pure.

Only new accounts are judged here; whoever exists can always log in. What the machine can bear is measured elsewhere.
"""

import re
from enum import Enum
from typing import Final

from chatmail.config import AccountsConfig
from chatmail.mail.address import Address

MAX_PASSWORD_BYTES: Final = 1024
"""Bounds the work of hashing; clients use 22 characters."""

RESERVED_LOCALPARTS: Final = frozenset(
    (
        # where certificate authorities and RFC 2142 expect the operator
        *("admin", "administrator", "webmaster", "hostmaster", "postmaster", "abuse", "security", "root", "noc"),
        *("support", "info", "ssladmin", "ssladministrator", "sysadmin", "is", "it", "mis"),
        # senders of machines
        *("mailer-daemon", "mail-daemon", "daemon", "noreply", "no-reply", "bounce", "bounces", "nobody"),
        # our own services
        *("chatmail", "smtp", "submission", "imap", "http", "https", "mail", "mx", "www", "dns", "acme", "dkim"),
        *("autoconfig", "autodiscover", "mta-sts", "tls-rpt", "dmarc", "notifier", "expiry", "doctor"),
    )
)
"""Nobody's, at any length setting."""

_LOCALPART: Final = re.compile(r"[a-z0-9._-]+")


class CreationRefusal(Enum):
    """Why no account is made; the value is a short reason for the log, without the name."""

    INVALID_NAME = "invalid-name"
    RESERVED_NAME = "reserved-name"
    INVALID_PASSWORD = "invalid-password"
    REGISTRATION_CLOSED = "registration-closed"
    INVITATION_NEEDED = "invitation-needed"
    SHORT_OF_RESOURCES = "short-of-resources"
    """The machine is at its limits (`[limits]`); later it may not be."""
    TOO_MANY_NEW = "too-many-new"
    """So many came from this network that it would have to wait for long."""


def check_new_account(address: Address, password: str, config: AccountsConfig) -> CreationRefusal | None:
    """Whether the name and the password may become an account; None if so."""
    if not _is_valid_localpart(address.localpart, config):
        return CreationRefusal.INVALID_NAME
    if address.localpart in RESERVED_LOCALPARTS:
        return CreationRefusal.RESERVED_NAME
    if not is_valid_password(password, config):
        return CreationRefusal.INVALID_PASSWORD
    match config.registration:
        case "closed":
            return CreationRefusal.REGISTRATION_CLOSED
        case "invite":
            return CreationRefusal.INVITATION_NEEDED
        case "open":
            return None


def is_valid_password(password: str, config: AccountsConfig) -> bool:
    """Printable (any script, blanks too), not shorter than configured, and of bounded length."""
    return (
        len(password) >= config.password_min_length
        and password.isprintable()
        and len(password.encode()) <= MAX_PASSWORD_BYTES
    )


def _is_valid_localpart(localpart: str, config: AccountsConfig) -> bool:
    is_in_range = config.username_min_length <= len(localpart) <= config.username_max_length
    return is_in_range and _LOCALPART.fullmatch(localpart) is not None
