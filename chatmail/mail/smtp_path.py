"""The arguments of MAIL and RCPT: `FROM:<alice@example.org> BODY=8BITMIME`, `TO:<bob@example.org>`.

Doors: `parse_mail` and `parse_rcpt`; both raise `PathError`, which knows its reply. RFC 5321 §4.1.1.2, §4.1.1.3,
§4.1.2; parameters of RFC 1870 (SIZE), RFC 6152 (BODY), RFC 6531 (SMTPUTF8), RFC 4954 §5 (AUTH, read and not used).

One blank after the colon is let through, as many programs send it. Source routes and quoted localparts are refused
(see `chatmail.mail.address`), so are the parameters of extensions that are not announced.
"""

import re
from dataclasses import dataclass
from typing import Final

from chatmail.errors import ProtocolError
from chatmail.mail.address import Address
from chatmail.mail.envelope import SmtpReply

# Reverse-path = "<" [ Mailbox ] ">"; esmtp-param = esmtp-keyword ["=" esmtp-value]; value: printable ASCII but "=".
_PARAMETERS = r"((?: +[A-Z0-9][A-Z0-9-]*(?:=[!-<>-~]+)?)*) *"
_MAIL = re.compile(r"FROM: ?<([^<>\s]*)>" + _PARAMETERS, re.IGNORECASE | re.ASCII)
_RCPT = re.compile(r"TO: ?<([^<>\s]+)>" + _PARAMETERS, re.IGNORECASE | re.ASCII)
_SIZE_VALUE = re.compile(r"[0-9]{1,20}", re.ASCII)

_MAIL_SYNTAX: Final = SmtpReply(501, "Syntax: MAIL FROM:<address> [SP parameters]", "5.5.4")
_RCPT_SYNTAX: Final = SmtpReply(501, "Syntax: RCPT TO:<address>", "5.5.4")
_BAD_SENDER: Final = SmtpReply(501, "This is not a sender address", "5.1.7")
_BAD_RECIPIENT: Final = SmtpReply(501, "This is not a recipient address", "5.1.3")
_BAD_PARAMETER: Final = SmtpReply(501, "A parameter is given twice or has an impossible value", "5.5.4")
_UNKNOWN_PARAMETER: Final = SmtpReply(555, "A parameter is not known here", "5.5.4")
_NEEDS_SMTPUTF8: Final = SmtpReply(553, "Such an address needs the parameter SMTPUTF8 at MAIL", "5.6.7")


class PathError(ProtocolError):
    """The argument is not in the grammar; `reply` is the answer."""

    def __init__(self, reply: SmtpReply) -> None:
        """Remember what to answer."""
        super().__init__(str(reply))
        self.reply: Final = reply


@dataclass(frozen=True, slots=True)
class MailArgument:
    """What MAIL said. `address` is None for the null sender `<>`; `size_bytes` is what the peer declared, if it did."""

    address: Address | None
    smtp_utf8: bool = False
    size_bytes: int | None = None


def parse_mail(argument: str) -> MailArgument:
    """Parse what follows `MAIL `. RFC 5321 §4.1.1.2. Raises `PathError`."""
    match = _MAIL.fullmatch(argument)
    if match is None:
        raise PathError(_MAIL_SYNTAX)
    path, parameters = match.groups()
    parsed = _mail_parameters(parameters) if parameters else MailArgument(None)
    if not path:
        return MailArgument(None, parsed.smtp_utf8, parsed.size_bytes)
    address = _address(path, parsed.smtp_utf8, _BAD_SENDER)
    return MailArgument(address, parsed.smtp_utf8, parsed.size_bytes)


def parse_rcpt(argument: str, *, smtp_utf8: bool) -> Address:
    """Parse what follows `RCPT `. RFC 5321 §4.1.1.3. Raises `PathError`."""
    match = _RCPT.fullmatch(argument)
    if match is None:
        raise PathError(_RCPT_SYNTAX)
    path, parameters = match.groups()
    if parameters:
        raise PathError(_UNKNOWN_PARAMETER)
    return _address(path, smtp_utf8, _BAD_RECIPIENT)


def _address(path: str, smtp_utf8: bool, otherwise: SmtpReply) -> Address:
    address = Address.parse(path)
    if address is None:
        raise PathError(otherwise)
    if not smtp_utf8 and not path.isascii():
        raise PathError(_NEEDS_SMTPUTF8)
    return address


def _mail_parameters(parameters: str) -> MailArgument:
    """The parameters of MAIL, as an argument without its address."""
    values: dict[str, str] = {}
    for parameter in parameters.split():
        keyword, _, value = parameter.partition("=")
        if keyword.upper() in values:
            raise PathError(_BAD_PARAMETER)
        values[keyword.upper()] = value
    if not values.keys() <= {"BODY", "SIZE", "SMTPUTF8", "AUTH"}:
        raise PathError(_UNKNOWN_PARAMETER)
    size = values.get("SIZE")
    if (
        values.get("BODY", "7BIT").upper() not in ("7BIT", "8BITMIME")
        or values.get("SMTPUTF8")
        or (size is not None and _SIZE_VALUE.fullmatch(size) is None)
    ):
        raise PathError(_BAD_PARAMETER)
    return MailArgument(None, "SMTPUTF8" in values, int(size) if size is not None else None)
