"""What stands before each literal of an APPEND. RFC 9051 §6.3.12, RFC 3502 §6.3.11 (MULTIAPPEND), RFC 3516 §4.4.

The message itself is streamed and never parsed here. `parse_append` reads `mailbox [flags] [date-time]` up to the first
literal, `parse_append_more` what stands between two messages.
"""

from chatmail.imap.commands import AppendMessage
from chatmail.imap.fragments import LiteralSize
from chatmail.imap.grammar import Cursor
from chatmail.imap.parse_command import MAX_FLAGS
from chatmail.mail.changes import NO_FLAGS


def parse_append(text: bytes, literal: LiteralSize, *, utf8_names: bool) -> tuple[str, AppendMessage]:
    """`append = "APPEND" SP mailbox 1*append-message`, up to its first literal; `text` begins after `APPEND `."""
    cursor = Cursor(text, utf8_names=utf8_names)
    mailbox = cursor.mailbox()
    return mailbox, _message(cursor, literal)


def parse_append_more(text: bytes, literal: LiteralSize) -> AppendMessage:
    """`append-message = append-opts SP append-data`, of the second message or a later one."""
    return _message(Cursor(text), literal)


def _message(cursor: Cursor, literal: LiteralSize) -> AppendMessage:
    """`append-opts = [SP flag-list] [SP date-time]`, then `SP` and the literal."""
    cursor.space()
    flags = NO_FLAGS
    received_at = None
    if cursor.at(b"("):
        flags = cursor.flag_list(limit=MAX_FLAGS)
        cursor.space()
    if cursor.at(b'"'):
        received_at = cursor.date_time()
        cursor.space()
    cursor.end()
    return AppendMessage(flags, received_at, literal.size_bytes, literal.is_binary)
