"""IMAP commands for tests, without their tag."""

from chatmail.imap.commands import Command
from chatmail.imap.parse_command import parse_command
from chatmail.imap.syntax import ImapSyntaxError


def parsed(text: bytes, *, utf8_names: bool = False) -> Command:
    """The command that `text` is behind a tag."""
    tagged = parse_command(b"A1 " + text, utf8_names=utf8_names)
    assert tagged.tag == "A1"
    return tagged.command


def refused(text: bytes) -> bool:
    """Whether `text` behind a tag is no command."""
    try:
        parsed(text)
    except ImapSyntaxError:
        return True
    return False
