"""Configuration keys that are parsed and checked, and whose behaviour is not there yet.

Nothing is silently ignored: `serve` logs a warning for each key here that the configuration relies on, and `config
check` prints it. Who adds the behaviour deletes the row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from chatmail.config import Config


@dataclass(frozen=True, slots=True)
class PendingKey:
    """One key of the table: `name` as `section.key`, what happens instead, and when a configuration relies on it."""

    name: str
    instead: str
    relies_on_it: Callable[[Config], bool]


def _changed(name: str) -> Callable[[Config], bool]:
    """Whether the key has another value than its default."""
    section, key = name.split(".")
    default = getattr(getattr(Config("example.org"), section), key)
    return lambda config: getattr(getattr(config, section), key) != default


def _pending(name: str, instead: str, relies_on_it: Callable[[Config], bool] | None = None) -> PendingKey:
    return PendingKey(name, instead, relies_on_it or _changed(name))


_NO_FEDERATION: Final = "mail does not go to or come from other servers yet"
_NO_EXPIRY: Final = "messages and accounts are kept until their owners delete them"

PENDING_KEYS: Final = (
    _pending("federation.smtp_port", _NO_FEDERATION),
    _pending("federation.https_port", _NO_FEDERATION),
    _pending("federation.ca_file", _NO_FEDERATION),
    _pending("federation.dkim_selector", _NO_FEDERATION),
    _pending("federation.queue_lifetime", _NO_FEDERATION),
    _pending("federation.blocked_domains", _NO_FEDERATION),
    _pending(
        "accounts.registration",
        "invitations cannot be made yet; nobody gets a new account",
        lambda config: config.accounts.registration == "invite",
    ),
    _pending("accounts.delete_inactive_users_after", _NO_EXPIRY, lambda _config: True),
    _pending("mail.delete_mails_after", _NO_EXPIRY, lambda _config: True),
    _pending("mail.delete_large_after", _NO_EXPIRY, lambda _config: True),
    _pending("push.notifier_url", "phones that sleep are not woken yet", lambda config: bool(config.push.notifier_url)),
)


def pending_keys(config: Config) -> Sequence[PendingKey]:
    """The rows this configuration relies on."""
    return [row for row in PENDING_KEYS if row.relies_on_it(config)]
