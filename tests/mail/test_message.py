"""Header blocks, Content-Type and From."""

import pytest

from chatmail.mail.envelope import UNPARSABLE_MESSAGE
from chatmail.mail.message import (
    MAX_FROM_BYTES,
    MAX_HEADER_BLOCK_BYTES,
    MAX_HEADER_FIELDS,
    MAX_HEADER_LINE_BYTES,
    HeaderBlock,
    InvalidFromError,
    MessageError,
    header_length,
    parse_content_type,
    parse_from,
)

BLOCK = (
    b"From: <alice1234@chat.example>\r\n"
    b"X-Odd:no blank\r\n"
    b"Subject:  folded\r\n\tsubject \r\n"
    b"received: one\r\n"
    b"Received: two\r\n"
    b"Empty:\r\n"
    b"X-8bit: Gr\xc3\xbc\xc3\x9fe\r\n"
    b"\r\n"
)


def test_a_header_block_comes_out_as_it_went_in() -> None:
    assert bytes(HeaderBlock.parse(BLOCK)) == BLOCK
    assert bytes(HeaderBlock.parse(b"\r\n")) == b"\r\n"


def test_a_message_without_a_body_gets_its_empty_line() -> None:
    assert bytes(HeaderBlock.parse(BLOCK[:-2])) == BLOCK
    assert bytes(HeaderBlock.parse(b"")) == b"\r\n"


def test_values_are_found_in_any_case_of_the_name_and_unfolded() -> None:
    headers = HeaderBlock.parse(BLOCK)
    assert headers.first(b"x-odd") == b"no blank"
    assert headers.first(b"subject") == b"folded\tsubject"
    assert headers.first(b"empty") == b""
    assert headers.first(b"to") is None
    assert headers.all(b"received") == [b"one", b"two"]
    assert headers.all(b"to") == []
    assert b"received" in headers and b"to" not in headers


def test_a_field_that_may_occur_once_is_told_from_one_that_occurs_again() -> None:
    headers = HeaderBlock.parse(BLOCK)
    assert headers.only(b"subject") == b"folded\tsubject"
    assert headers.only(b"to") is None
    with pytest.raises(MessageError):
        headers.only(b"received")


def test_fields_go_without_touching_the_others() -> None:
    headers = HeaderBlock.parse(BLOCK)
    without = headers.without((b"received", b"to"))
    assert bytes(without) == BLOCK.replace(b"received: one\r\nReceived: two\r\n", b"")
    assert headers.without((b"to",)) is headers


def test_a_field_is_replaced_in_its_place_with_its_folded_lines_and_its_repetitions() -> None:
    headers = HeaderBlock.parse(BLOCK)
    replaced = bytes(headers.with_field(b"Subject", b"[...]"))
    assert replaced == BLOCK.replace(b"Subject:  folded\r\n\tsubject \r\n", b"Subject: [...]\r\n")
    once = bytes(headers.with_field(b"Received", b"none"))
    assert once == BLOCK.replace(b"received: one\r\nReceived: two\r\n", b"Received: none\r\n")
    replaced_block = headers.with_field(b"Received", b"none")
    assert replaced_block.first(b"received") == b"none"


def test_a_field_that_is_not_there_is_added_at_the_end() -> None:
    added = HeaderBlock.parse(BLOCK).with_field(b"To", b"<bob567890@chat.example>")
    assert bytes(added) == BLOCK[:-2] + b"To: <bob567890@chat.example>\r\n\r\n"


@pytest.mark.parametrize(
    "block",
    [
        b"From",
        b"From: x",
        b"From: x\r\n\r\nbody",
        b"From: x\r\n\r\n\r\n",
        b"From : x\r\n\r\n",
        b" From: x\r\n\r\n",
        b"From: x\r\nno colon\r\n\r\n",
        b": x\r\n\r\n",
        b"Fr\xc3\xb6m: x\r\n\r\n",
        b"From: x\nTo: y\r\n\r\n",
        b"From: x\rTo: y\r\n\r\n",
        b"From: x\n\n",
        b"From: \0\r\n\r\n",
        b">From: x\r\n y\r\n\r\n text\r\n",
    ],
)
def test_what_is_no_header_block_is_refused(block: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        HeaderBlock.parse(block)
    assert caught.value.reply == UNPARSABLE_MESSAGE


def test_size_count_and_line_length_are_limited() -> None:
    line = b"A: " + b"x" * (MAX_HEADER_LINE_BYTES - 3) + b"\r\n"
    fields = b"A: x\r\n" * MAX_HEADER_FIELDS
    HeaderBlock.parse(line + b"\r\n")
    HeaderBlock.parse(fields + b"\r\n")
    for block in (
        b"A: " + line + b"\r\n",
        fields + b"A: x\r\n\r\n",
        line * (MAX_HEADER_BLOCK_BYTES // len(line) + 1) + b"\r\n",
    ):
        with pytest.raises(MessageError):
            HeaderBlock.parse(block)


def test_the_end_of_the_header_is_found_while_it_comes_in() -> None:
    message_bytes = BLOCK + b"body\r\n\r\n"
    searched = 0
    for length in range(1, len(message_bytes) + 1):
        expected = len(BLOCK) if length >= len(BLOCK) else None
        assert header_length(message_bytes[:length], searched) == expected
        searched = length if length < len(BLOCK) else 0
    assert header_length(b"\r\nbody") == 2
    assert header_length(b"") is None


def test_a_header_without_an_end_is_refused_once_it_is_too_long() -> None:
    assert header_length(b"A" * (MAX_HEADER_BLOCK_BYTES - 1)) is None
    with pytest.raises(MessageError):
        header_length(b"A" * MAX_HEADER_BLOCK_BYTES)
    with pytest.raises(MessageError):
        header_length(b"A: x\r\n" * MAX_HEADER_BLOCK_BYTES + b"\r\n")


# --- Content-Type -----------------------------------------------------------------------------------------------


def test_a_content_type_is_read_with_quoted_and_folded_parameters() -> None:
    headers = HeaderBlock.parse(
        b'Content-Type: Multipart/Mixed;\r\n charset=UTF-8 ; Boundary="a \\"b\\\\;\r\n c";\r\n\r\n'
    )
    content_type = parse_content_type(headers.only(b"content-type"))
    assert content_type.media_type == "multipart/mixed"
    assert content_type.parameters == {"charset": "UTF-8", "boundary": 'a "b\\; c'}


def test_no_content_type_is_plain_text() -> None:
    assert parse_content_type(None).media_type == "text/plain"


def test_a_content_type_may_be_a_bare_media_type() -> None:
    assert parse_content_type(b"text/html ").media_type == "text/html"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"text",
        b"text/",
        b"/plain",
        b"text/plain x",
        b"text /plain",
        b"text/plain; a",
        b"text/plain; a=",
        b"a/b; =c",
        b"text/plain; a=b; A=c",
        b'text/plain; a="b',
        b"text/plain; a=b c",
        b"text/plain; a=b/c",
        b"text/plain (x); a=b",
    ],
)
def test_a_malformed_content_type_is_refused(value: bytes) -> None:
    with pytest.raises(MessageError):
        parse_content_type(value)


# --- From -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "alice1234@chat.example",
        "<alice1234@chat.example>",
        "< ALICE1234@Chat.Example >",
        "Alice <alice1234@chat.example>",
        "J. R. Alice <alice1234@chat.example>",
        '"Alice, <mallory@evil.example>" <alice1234@chat.example>',
        '"A \\" B" <alice1234@chat.example>',
        "=?utf-8?q?Alic=C3=A9?= <alice1234@chat.example>",
        "Alicé <alice1234@chat.example>",
        "alice1234@chat.example (Alice (of (example)) @ home)",
        "(mallory@evil.example) alice1234@chat.example",
        "Alice (x) <alice1234@chat.example> (y)",
        'Alice "the" <alice1234@chat.example>',
        "Alice\r\n <alice1234@chat.example>",
    ],
)
def test_the_one_address_is_found_in_every_way_to_write_it(value: str) -> None:
    assert str(parse_from(HeaderBlock.parse(f"From: {value}\r\n\r\n".encode()))) == "alice1234@chat.example"


@pytest.mark.parametrize(
    "address", ["abcdef123@[192.0.2.1]", "abcdef123@[ipv6:2001:db8::1]", "abcdef123@_test.example", "mailer-daemon@x"]
)
def test_domains_of_every_kind_are_taken(address: str) -> None:
    for value in (address, f"<{address}>", f"X <{address}> (x)"):
        assert str(parse_from(HeaderBlock.parse(f"From: {value}\r\n\r\n".encode()))) == address


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"alice",
        b"<>",
        b"a@b.example, c@d.example",
        b"<a@b.example>, <c@d.example>",
        b"<a@b.example> <c@d.example>",
        b"a@b.example <c@d.example>",
        b"<a@b.example> c@d.example",
        b"a@b.example c@d.example",
        b"<a@b.example",
        b"a@b.example>",
        b"group: a@b.example;",
        b"<@c.example:a@b.example>",
        b'"a b"@b.example',
        b"<a b@b.example>",
        b"a@@b.example",
        b"a@[192.0.2.300]",
        b'"x <a@b.example>',
        b"(x <a@b.example>",
        b"((((deep)))) a@b.example",
        b"\xff@b.example",
        b"a@b.example\\",
        b"x\x01 <a@b.example>",
        b"x" * MAX_FROM_BYTES + b" <a@b.example>",
    ],
)
def test_anything_but_one_address_is_refused_with_a_reason(value: bytes) -> None:
    with pytest.raises(InvalidFromError) as caught:
        parse_from(HeaderBlock.parse(b"From: " + value + b"\r\n\r\n"))
    assert str(caught.value.reply).startswith("500 Invalid FROM header: ")


@pytest.mark.parametrize("block", [b"\r\n", b"To: x\r\n\r\n", b"From: a@b.example\r\nfrom: a@b.example\r\n\r\n"])
def test_there_must_be_exactly_one_from_field(block: bytes) -> None:
    with pytest.raises(InvalidFromError):
        parse_from(HeaderBlock.parse(block))
