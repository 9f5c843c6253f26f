import pytest

from chatmail.imap.bodystructure import body_structure
from chatmail.imap.envelope_structure import address_list, envelope_structure
from chatmail.imap.part_tree import scan_parts

ENCRYPTED = (
    b'From: <a@example.org>\r\nTo: "hidden-recipients": ;\r\nSubject: [...]\r\nMIME-Version: 1.0\r\n'
    b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\r\n boundary="bb"\r\n\r\n'
    b'--bb\r\nContent-Type: application/pgp-encrypted; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n'
    b'Version: 1\r\n\r\n--bb\r\nContent-Type: application/octet-stream; name="encrypted.asc"\r\n'
    b'Content-Disposition: inline; filename="encrypted.asc"\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\n--bb--\r\n'
)


def structure(message: bytes) -> bytes:
    return body_structure(scan_parts(message), extended=True)


def test_an_encrypted_message_is_described() -> None:
    assert structure(ENCRYPTED) == (
        b'(("application" "pgp-encrypted" ("charset" "utf-8") NIL NIL "7bit" 12 NIL NIL NIL NIL)'
        b'("application" "octet-stream" ("name" "encrypted.asc") NIL NIL "7bit" 29 NIL'
        b' ("inline" ("filename" "encrypted.asc")) NIL NIL)'
        b' "encrypted" ("protocol" "application/pgp-encrypted" "boundary" "bb") NIL NIL NIL)'
    )


def test_body_leaves_the_extension_data_out() -> None:
    message = b"Content-Type: text/html; charset=utf-8\r\n\r\none\r\ntwo\r\n"
    assert body_structure(scan_parts(message), extended=False) == (
        b'("text" "html" ("charset" "utf-8") NIL NIL "7bit" 10 2)'
    )


def test_a_nested_message_carries_its_envelope_and_body() -> None:
    message = b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nhello\r\n"
    assert structure(message) == (
        b'("message" "rfc822" NIL NIL NIL "7bit" 25 (NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL)'
        b' ("text" "plain" NIL NIL NIL "7bit" 7 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL)'
    )


def test_a_multipart_without_parts_has_one_empty_text() -> None:
    message = b"Content-Type: multipart/mixed\r\n\r\nnothing\r\n"
    assert body_structure(scan_parts(message), extended=False) == b'(("text" "plain" NIL NIL NIL "7bit" 0 0) "mixed")'


@pytest.mark.parametrize("value", [b";;;", b"text\0/html", b"text", b"/html", "téxt/html".encode(), b"text/\r\n ;x=y"])
def test_a_broken_content_type_reads_as_plain_text(value: bytes) -> None:
    assert structure(b"Content-Type: " + value + b"\r\n\r\n").startswith(b'("text" "plain" NIL')


def test_languages_and_location_are_reported() -> None:
    message = b"Content-Language: en, de\r\nContent-Location: http://example.org/\r\n\r\n"
    assert structure(message).endswith(b'NIL NIL ("en" "de") "http://example.org/")')


def test_the_envelope_defaults_sender_and_reply_to_to_from() -> None:
    header = (
        b"Date: Wed, 17 Jul 1996 02:23:25 -0700\r\nSubject: IMAP4rev2 WG mtg\r\n summary\r\n"
        b"From: Terry Gray <gray@cac.washington.edu>\r\nTo: imap@cac.washington.edu\r\n"
        b"Message-ID: <B27397-0100000@cac.washington.edu>\r\n\r\n"
    )
    from_ = b'(("Terry Gray" NIL "gray" "cac.washington.edu"))'
    assert envelope_structure(header) == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700" "IMAP4rev2 WG mtg summary" %b %b %b'
        b' ((NIL NIL "imap" "cac.washington.edu")) NIL NIL NIL "<B27397-0100000@cac.washington.edu>")'
        % (from_, from_, from_)
    )


@pytest.mark.parametrize(
    ("field", "encoded"),
    [
        (b'"hidden-recipients": ;', b'((NIL NIL "hidden-recipients" NIL)(NIL NIL NIL NIL))'),
        (b"x@y.org (Some Name)", b'(("Some Name" NIL "x" "y.org"))'),
        (b'"q \\" z" <@r1,@r2:u@[192.0.2.1]>', b'(("q \\" z" NIL "u" "[192.0.2.1]"))'),
        (
            b"G: a@b, c@d;, e@f",
            b'((NIL NIL "G" NIL)(NIL NIL "a" "b")(NIL NIL "c" "d")(NIL NIL NIL NIL)(NIL NIL "e" "f"))',
        ),
        (b"=?utf-8?q?x?= <n@m>", b'(("=?utf-8?q?x?=" NIL "n" "m"))'),
        (b"junk", b'((NIL NIL "junk" ""))'),
        ("Jürgen <j@x.org>".encode(), b"(({7}\r\n" + "Jürgen".encode() + b' NIL "j" "x.org"))'),
        (b"", b"NIL"),
        (b"<>", b"NIL"),
    ],
)
def test_address_fields(field: bytes, encoded: bytes) -> None:
    assert address_list(field) == encoded


def test_the_number_of_addresses_is_limited() -> None:
    assert address_list(b"a@b," * 10000).count(b"(NIL NIL") == 2000


def test_two_thousand_full_addresses_are_all_there() -> None:
    assert address_list(b'"A B" <a@b.example>, ' * 2000).count(b'("A B" NIL "a" "b.example")') == 2000
