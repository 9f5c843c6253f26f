"""Which accounts may come into being on a first login: names, passwords, registration, guards under load. Pure.

Only new accounts are judged here; whoever exists can always log in.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from chatmail.config import AccountsConfig, LimitsConfig
from chatmail.mail.address import Address

CLIENT_LOCALPART_LENGTH: Final = 9
"""Clients invent names of this length themselves, so it is always allowed."""
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
    """Why no account is made; the value is a sentence for the operator, without the name."""

    INVALID_NAME = "the name is not allowed on this server"
    RESERVED_NAME = "the name is reserved"
    INVALID_PASSWORD = "the password is too short or not printable"
    REGISTRATION_CLOSED = "registration is closed"
    INVITATION_NEEDED = "registration needs an invitation"
    LOAD_TOO_HIGH = "the load of this machine is too high"
    MEMORY_TOO_LOW = "the memory of this machine is too low"
    DISK_TOO_FULL = "the disk of this machine is too full"

    @property
    def is_temporary(self) -> bool:
        """Whether the same login may succeed later without anybody changing the configuration."""
        return self in (self.LOAD_TOO_HIGH, self.MEMORY_TOO_LOW, self.DISK_TOO_FULL)


@dataclass(frozen=True, slots=True)
class SystemLoad:
    """How this machine does: the one-minute load divided by its CPUs, and bytes."""

    load_1m_per_cpu: float
    available_memory_bytes: int
    free_disk_bytes: int


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


def check_guards(load: SystemLoad, limits: LimitsConfig) -> CreationRefusal | None:
    """Whether the machine can bear one more account; None if so."""
    if load.load_1m_per_cpu > limits.max_load_1m:
        return CreationRefusal.LOAD_TOO_HIGH
    if load.available_memory_bytes < limits.min_available_memory:
        return CreationRefusal.MEMORY_TOO_LOW
    if load.free_disk_bytes < limits.min_free_disk_space:
        return CreationRefusal.DISK_TOO_FULL
    return None


def _is_valid_localpart(localpart: str, config: AccountsConfig) -> bool:
    shortest = min(config.username_min_length, CLIENT_LOCALPART_LENGTH)
    longest = max(config.username_max_length, CLIENT_LOCALPART_LENGTH)
    return shortest <= len(localpart) <= longest and _LOCALPART.fullmatch(localpart) is not None
