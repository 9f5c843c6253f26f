import pytest

from chatmail.imap.commands import Command, GetMetadata, SetMetadata
from tests.support.imap_text import parsed, refused

TOKEN = "/private/devicetoken"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (b'GETMETADATA "" /shared/comment', GetMetadata("", ("/shared/comment",))),
        (b"GETMETADATA INBOX /private/devicetoken", GetMetadata("INBOX", (TOKEN,))),
        (b'GETMETADATA "INBOX" (/shared/Comment /private/comment)',
         GetMetadata("INBOX", ("/shared/comment", "/private/comment"))),
        (b'GETMETADATA (MAXSIZE 1024 DEPTH infinity) "" (/shared)', GetMetadata("", ("/shared",), 1024, None)),
        (b'GETMETADATA "INBOX" (DEPTH 1) (/private/filters/values)',
         GetMetadata("INBOX", ("/private/filters/values",), None, 1)),
        (b'GETMETADATA "" ("/shared/comment" )', GetMetadata("", ("/shared/comment",))),
    ],
)  # fmt: skip
def test_getmetadata(text: bytes, command: Command) -> None:
    assert parsed(text) == command


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (b'SETMETADATA INBOX (/private/devicetoken "1111" )', SetMetadata("INBOX", ((TOKEN, b"1111"),))),
        (b'SETMETADATA "INBOX" (/private/devicetoken {5+}\r\ntoken)', SetMetadata("INBOX", ((TOKEN, b"token"),))),
        (b"SETMETADATA INBOX (/private/devicetoken NIL)", SetMetadata("INBOX", ((TOKEN, None),))),
        (b"SETMETADATA INBOX (/private/devicetoken ~{3}\r\na\0b)", SetMetadata("INBOX", ((TOKEN, b"a\0b"),))),
        (b'SETMETADATA INBOX /private/devicetoken "x"', SetMetadata("INBOX", ((TOKEN, b"x"),))),
        (b'SETMETADATA "" (/shared/comment "a" /shared/admin "b")',
         SetMetadata("", (("/shared/comment", b"a"), ("/shared/admin", b"b")))),
    ],
)  # fmt: skip
def test_setmetadata(text: bytes, command: Command) -> None:
    assert parsed(text) == command


@pytest.mark.parametrize(
    "text",
    [
        b"GETMETADATA INBOX", b"GETMETADATA INBOX comment", b"GETMETADATA INBOX /shared/", b"GETMETADATA INBOX //a",
        b'GETMETADATA INBOX "/shared/*"', b"GETMETADATA INBOX ()", b'GETMETADATA (DEPTH 2) "" /a',
        b'GETMETADATA (X 1) "" /a',
        b'GETMETADATA INBOX "/a b"', b"SETMETADATA INBOX (/a)", b"SETMETADATA INBOX (/a b)", b"SETMETADATA INBOX ()",
        b"SETMETADATA INBOX (/a {3}\r\na\0b)", b"GETMETADATA INBOX (" + b" ".join([b"/a"] * 101) + b")",
        "GETMETADATA INBOX /ü".encode(),
    ],
)  # fmt: skip
def test_what_is_refused(text: bytes) -> None:
    assert refused(text)
