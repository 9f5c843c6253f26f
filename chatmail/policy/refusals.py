"""Why something was refused, in one word for counts: never the text, which may quote an address. Pure.

The words are stable: `status --json` and the metrics use them, and `docs/status.md` explains each.
"""

from typing import Final

from chatmail.mail import envelope
from chatmail.mail.envelope import SmtpReply
from chatmail.policy import inbound, submission

TOO_MANY_CONNECTIONS: Final = "too_many_connections"
OTHER: Final = "other"

_BY_REPLY: Final[dict[SmtpReply, str]] = {
    envelope.ENCRYPTION_NEEDED: "not_encrypted",
    envelope.UNPARSABLE_MESSAGE: "malformed",
    envelope.MESSAGE_TOO_BIG: "too_big",
    envelope.NO_SUCH_RECIPIENT: "no_such_recipient",
    envelope.OVER_QUOTA: "mailbox_full",
    envelope.STORAGE_FULL: "storage_failed",
    envelope.STORAGE_UNAVAILABLE: "storage_failed",
    inbound.NO_SIGNATURE: "not_signed",
    inbound.NO_VALID_SIGNATURE: "signature_invalid",
    inbound.KEY_NOT_FOUND_OUT: "signature_unknown",
    inbound.DOMAIN_BLOCKED: "domain_blocked",
    inbound.NOT_FROM_OUTSIDE: "sender_not_owned",
    inbound.NOT_RELAYED: "not_relayed",
    submission.SENDER_NOT_OWNED: "sender_not_owned",
}
_BY_CODE: Final = {450: "too_fast", 500: "malformed"}
"""Replies whose text differs from case to case."""


def reason_of(reply: SmtpReply) -> str:
    """The word for a refusal of SMTP or `/mxdeliv`."""
    return _BY_REPLY.get(reply) or _BY_CODE.get(reply.code, OTHER)


def reason_of_login(value: str) -> str:
    """The word for a refused login; `value` is that of a `LoginRefusal` or a `CreationRefusal`."""
    return f"login_{value.replace('-', '_')}"
