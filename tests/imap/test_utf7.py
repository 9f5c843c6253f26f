import pytest

from chatmail.imap import utf7
from chatmail.imap.syntax import ImapSyntaxError

PAIRS = [
    (b"INBOX", "INBOX"),
    (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
    (b"Entw&APw-rfe", "Entwürfe"),
    (b"a&-b", "a&b"),
    (b"&2D3eAA-", "😀"),
    (b"", ""),
]


@pytest.mark.parametrize(("wire", "name"), PAIRS)
def test_names_are_spelled_in_one_way(wire: bytes, name: str) -> None:
    assert utf7.decode(wire) == name
    assert utf7.encode(name) == wire


@pytest.mark.parametrize(
    "wire",
    [
        b"&",
        b"&Jjo",
        b"&Jjo!",
        b"&AGE-",
        b"&U,BTFw-&ZeVnLIqe-",
        b"&2D0-",
        b"&AA-",
        b"a\0b",
        b"Entw\xc3\xbcrfe",
        b"&Jjp-",
        b"&====-",
        "ü&-".encode(),
    ],
)
def test_other_spellings_and_nonsense_are_refused(wire: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        utf7.decode(wire)
