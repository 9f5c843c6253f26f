"""Replies of an SMTP server, read out of a growing buffer. RFC 5321 §4.2, enhanced codes RFC 2034.

Door: `take_reply`. Pure; what a peer may send is bounded here, its text is never trusted to be more than text.
"""

import re
from typing import Final

from chatmail.errors import ProtocolError
from chatmail.mail.envelope import SmtpReply

MAX_REPLY_BYTES: Final = 64 * 1024
MAX_TEXT_CHARACTERS: Final = 500

# Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF; a bare LF is let pass.
_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\n]*))?")
# The text ends up in bounces and logs, where a control character could pass for the end of a line.
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_ENHANCED: Final = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")


class SmtpReplyError(ProtocolError):
    """The server said what is no reply, or too much."""


def take_reply(buffer: bytearray) -> tuple[SmtpReply, list[str]] | None:
    """Take the first whole reply out of `buffer`: the reply and its lines; None if it is not whole yet.

    Raises `SmtpReplyError`.
    """
    lines: list[str] = []
    start = 0
    while (end := buffer.find(b"\n", start, MAX_REPLY_BYTES)) >= 0:
        match = _LINE.fullmatch(bytes(buffer[start:end]).rstrip(b"\r"))
        if match is None:
            raise SmtpReplyError("not a reply")
        start = end + 1
        lines.append(_CONTROL.sub(b" ", match[3] or b"").decode("utf-8", "replace"))
        if match[2] != b"-":
            del buffer[:start]
            return _reply(int(match[1]), lines), lines
    if len(buffer) >= MAX_REPLY_BYTES:
        raise SmtpReplyError("a reply without end")
    return None


def _reply(code: int, lines: list[str]) -> SmtpReply:
    """One reply, its lines joined; an enhanced code that repeats on each line is taken once."""
    enhanced = ""
    texts = []
    for line in lines:
        match = _ENHANCED.match(line)
        if match and match[1][0] == str(code)[0]:
            enhanced = enhanced or match[1]
            line = line[match.end() :]
        texts.append(line.strip())
    return SmtpReply(code, " ".join(filter(None, texts))[:MAX_TEXT_CHARACTERS], enhanced)
