"""What a submission must say about its sender, and what is taken out of its header. Pure.

The sender: MAIL FROM equals the login, and the one address of the one From field equals MAIL FROM. The clean-up keeps
what a client adds about itself, its machine and its subject from every receiver. It is applied to every submission,
unencrypted handshake messages included; whatever is not named here stays byte for byte.
"""

from typing import Final

from chatmail.mail.address import Address
from chatmail.mail.envelope import Envelope, SmtpReply
from chatmail.mail.message import HeaderBlock, InvalidFromError, parse_from
from chatmail.policy.verdict import ACCEPT, Reject, Verdict

SENDER_NOT_OWNED: Final = SmtpReply(553, "Sender address rejected: it is not the address you logged in with", "5.7.1")
"""Wrong MAIL FROM; given as the answer to RCPT, where existing clients look for it."""

HIDDEN_SUBJECT: Final = b"[...]"
_SUBMISSION_DROPS: Final = frozenset((b"received", b"x-originating-ip", b"x-mailer", b"user-agent"))
_DELIVERY_DROPS: Final = frozenset((b"dkim-signature", b"authentication-results", b"received"))


def check_mail_from(mail_from: Address | None, login: Address) -> Verdict:
    """MAIL FROM must be the login; the null sender is nobody's."""
    return ACCEPT if mail_from == login else Reject(SENDER_NOT_OWNED)


def check_from_header(headers: HeaderBlock, envelope: Envelope) -> Verdict:
    """The From field must be exactly one address, equal to MAIL FROM without regard to case."""
    try:
        address = parse_from(headers)
    except InvalidFromError as error:
        return Reject(error.reply)
    if address == envelope.mail_from:
        return ACCEPT
    return Reject(SmtpReply(500, f"Invalid FROM <{address}> for <{envelope.mail_from or ''}>"))


def submission_headers(headers: HeaderBlock) -> bytes:
    """The header block a submission is passed on with: no traces of the client, a Subject rewritten if there is one."""
    cleaned = headers.without(_SUBMISSION_DROPS)
    return bytes(cleaned.with_field(b"Subject", HIDDEN_SUBJECT) if b"subject" in cleaned else cleaned)


def delivered_headers(headers: HeaderBlock) -> bytes:
    """The header block a message is put into a mailbox with: signatures and traces, already verified, are dropped."""
    return bytes(headers.without(_DELIVERY_DROPS))
