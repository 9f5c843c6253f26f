"""Messages about messages: the bounce. RFC 3464 (delivery status), RFC 6522 (multipart/report), RFC 3834 (automatic).

The door is `bounce_message`. A bounce carries the header block of the original and never its body; it is sent from the
null sender, so that it is never bounced itself (RFC 5321 §4.5.5): that is up to the caller.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Final

from chatmail.mail.address import Address
from chatmail.mail.envelope import SmtpReply
from chatmail.mail.message import HeaderBlock

POSTMASTER_LOCALPART: Final = "MAILER-DAEMON"
"""Clients know bounces by it, and other chatmail servers let unencrypted mail pass for it."""
MAX_REASON_CHARACTERS: Final = 500

_CRLF: Final = "\r\n"


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """An address that did not get the message, and the reply that says why."""

    address: Address
    reply: SmtpReply

    @property
    def status(self) -> str:
        """The status code of RFC 3463: that of the reply, or as much as its first digit says."""
        return self.reply.enhanced or f"{self.reply.code // 100}.0.0"


def bounce_message(
    *,
    domain: str,
    sender: Address,
    failed: Sequence[FailedRecipient],
    original: HeaderBlock,
    arrived_at: datetime,
    now: datetime,
    token: str,
) -> bytes:
    """The message that tells `sender` which recipients a message of theirs did not reach, CRLF line ends.

    `domain` is what stands behind the `@` of this server's addresses; `original` the header block as it was accepted;
    `arrived_at` when that was (aware UTC, as `now`). `token` is random and makes Message-ID and boundary unique.
    """
    header = _CRLF.join(
        (
            f"From: Mail Delivery System <{POSTMASTER_LOCALPART}@{domain}>",
            f"To: <{sender}>",
            "Subject: Undelivered mail",
            f"Date: {format_datetime(now)}",
            f"Message-ID: <{token}@{domain}>",
            "Auto-Submitted: auto-replied",
            "MIME-Version: 1.0",
            f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{token}"',
        )
    )
    explanation = _CRLF.join(_explanation(domain, failed))
    status = (_CRLF * 2).join(_CRLF.join(group) for group in _status_groups(domain, failed, arrived_at))
    parts = (
        ("text/plain; charset=utf-8", explanation.encode()),
        ("message/delivery-status", (status + _CRLF).encode()),
        ("text/rfc822-headers", bytes(original)[:-2]),
    )
    delimiter = f"--{token}".encode()
    lines = [header.encode(), b""]
    for content_type, content in parts:
        encoding = "7bit" if content.isascii() else "8bit"
        fields = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}"
        lines += [delimiter, fields.encode(), b"", content]
    return b"\r\n".join((*lines, delimiter + b"--", b""))


def _explanation(domain: str, failed: Sequence[FailedRecipient]) -> list[str]:
    return [
        f"This is the mail delivery system of {domain}.",
        "",
        "Your message could not be delivered to:",
        "",
        *(f"    {recipient.address}: {_one_line(recipient.reply.text)}" for recipient in failed),
        "",
        "Everybody else it was sent to gets it, or has it already.",
        "",
    ]


def _status_groups(domain: str, failed: Sequence[FailedRecipient], arrived_at: datetime) -> list[list[str]]:
    """RFC 3464 §2.2 the fields about the message, then §2.3 those about each recipient."""
    groups = [[f"Reporting-MTA: dns; {domain}", f"Arrival-Date: {format_datetime(arrived_at)}"]]
    for recipient in failed:
        groups.append(
            [
                f"Final-Recipient: {_address_type(recipient.address)}; {recipient.address}",
                "Action: failed",
                f"Status: {recipient.status}",
                f"Diagnostic-Code: smtp; {_one_line(str(recipient.reply))}",
            ]
        )
    return groups


def _one_line(text: str) -> str:
    """A reply of another server, fit for one line: blanks for line ends and control characters, and an end to it."""
    return "".join(character if character.isprintable() else " " for character in text)[:MAX_REASON_CHARACTERS]


def _address_type(address: Address) -> str:
    """RFC 3464 §2.3.2, and RFC 6533 §3 for what does not fit into ASCII."""
    return "rfc822" if str(address).isascii() else "utf-8"
