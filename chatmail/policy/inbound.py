"""May a message from another server pass? The decision in its order: sender, DKIM, encryption. Pure.

Size comes before, while bytes are read, and recipients at RCPT. Nothing else is asked: no SPF, DMARC, reverse name,
reputation or delay. Whoever can sign for a domain may write from it, and what they write has to be encrypted.

- A domain has to sign, one beginning with `_` too: such a name is in the DNS as any other, and only its certificate is
  one that nobody vouches for.
- An address literal (`user@[192.0.2.1]`) has no place in the DNS where a key could be, so its mail is taken unsigned;
  but never mail that claims to come from this server's own literal, which only goes from account to account.
"""

from collections.abc import Collection
from enum import Enum
from ipaddress import ip_address
from typing import Final

from chatmail.mail.address import Address
from chatmail.mail.envelope import SmtpReply
from chatmail.mail.message import HeaderBlock, MessageError
from chatmail.policy.encryption import EncryptionGate
from chatmail.policy.submission import delivered_headers
from chatmail.policy.verdict import ACCEPT, Defer, Reject, Verdict

NO_SIGNATURE: Final = SmtpReply(554, "No DKIM signature found", "5.7.1")
NO_VALID_SIGNATURE: Final = SmtpReply(554, "No valid DKIM signature found", "5.7.1")
"""These two texts are known to other servers and their tests."""
KEY_NOT_FOUND_OUT: Final = SmtpReply(451, "The DKIM key could not be asked for, please try again later", "4.7.5")
DOMAIN_BLOCKED: Final = SmtpReply(550, "Mail from this domain is not accepted here", "5.7.1")
NOT_FROM_OUTSIDE: Final = SmtpReply(554, "Mail from this address does not come from other servers", "5.7.1")
NOT_RELAYED: Final = SmtpReply(550, "This server takes mail for its own addresses only", "5.7.1")

MAX_MESSAGE_ID_BYTES: Final = 998
_RETURN_PATH: Final = frozenset((b"return-path",))


class DkimResult(Enum):
    """What a verifier found out about the signatures of the From domain."""

    VALID = "valid"
    UNSIGNED = "unsigned"
    INVALID = "invalid"
    UNKNOWN = "unknown"
    """The DNS did not answer, and no other signature is valid."""


_DKIM_VERDICTS: Final[dict[DkimResult, Verdict]] = {
    DkimResult.VALID: ACCEPT,
    DkimResult.UNSIGNED: Reject(NO_SIGNATURE),
    DkimResult.INVALID: Reject(NO_VALID_SIGNATURE),
    DkimResult.UNKNOWN: Defer(KEY_NOT_FOUND_OUT),
}


def check_envelope_sender(mail_from: Address | None, blocked_domains: Collection[str]) -> Verdict:
    """At MAIL: only mail that says to come from a blocked domain is refused, so that its body need not come."""
    if mail_from is not None and mail_from.domain in blocked_domains:
        return Reject(DOMAIN_BLOCKED)
    return ACCEPT


def check_author(author: Address, own_domain: str, blocked_domains: Collection[str]) -> Verdict:
    """May mail of this From address come from outside, whatever its signatures say?"""
    if author.domain in blocked_domains:
        return Reject(DOMAIN_BLOCKED)
    if author.is_literal and _literal(author.domain) == _literal(own_domain):
        return Reject(NOT_FROM_OUTSIDE)
    return ACCEPT


def _literal(domain: str) -> str:
    """An address literal in one spelling, since an IPv6 address has many; any other domain as it is."""
    return str(ip_address(domain[1:-1].removeprefix("ipv6:"))) if domain.startswith("[") else domain


def must_be_signed(author: Address) -> bool:
    """Whether DKIM is asked for at all."""
    return not author.is_literal


def check_dkim(result: DkimResult) -> Verdict:
    """What the result of the verification means."""
    return _DKIM_VERDICTS[result]


def check_message(dkim: DkimResult | None, gate: EncryptionGate) -> Verdict:
    """The whole message is here: its signature first (None: it needs none), then its encryption."""
    verdict = ACCEPT if dkim is None else check_dkim(dkim)
    return gate.finish() if verdict == ACCEPT else verdict


def return_path(mail_from: Address | None, author: Address) -> Address | None:
    """The envelope sender that a message goes on with: nobody, if it is not the author.

    No report may go to an address that the signature does not speak for.
    """
    return mail_from if mail_from == author else None


def inbound_headers(headers: HeaderBlock, sender: Address | None) -> bytes:
    """The header block for the mailbox: signatures and traces dropped, and the one Return-Path (RFC 5321 §4.4)."""
    return f"Return-Path: <{sender or ''}>\r\n".encode() + delivered_headers(headers.without(_RETURN_PATH))


def duplicate_key(author: Address, headers: HeaderBlock) -> bytes | None:
    """What makes a message the same as another one: author and Message-ID. None if it cannot be known.

    The author has signed, so nobody else's message can be taken for it.
    """
    try:
        message_id = headers.only(b"message-id")
    except MessageError:
        return None
    if not message_id or len(message_id) > MAX_MESSAGE_ID_BYTES:
        return None
    return str(author).encode() + b"\0" + message_id
