"""Reading ClientHellos."""

import pytest

from chatmail.tls_hello import (
    MAX_HELLO_BYTES,
    MAX_RECORDS,
    BadClientHello,
    ClientHello,
    NeedMore,
    NotTls,
    read_client_hello,
)
from tests.support.client_hello import (
    alpn_extension,
    handshake_message,
    hello_body,
    made_hello,
    real_hello,
    records,
    server_name_extension,
)


def test_a_real_hello_tells_name_and_alpn_in_the_clients_order() -> None:
    hello = real_hello("Chat.Example.org", ["h2", "http/1.1"])
    assert read_client_hello(hello) == ClientHello("chat.example.org", ("h2", "http/1.1"))


def test_a_real_hello_without_name_and_alpn() -> None:
    assert read_client_hello(real_hello(None)) == ClientHello(None, ())


def test_a_hello_without_any_extensions_field_is_old_but_right() -> None:
    body = hello_body()[:-2]
    assert read_client_hello(records(handshake_message(body))) == ClientHello(None, ())


def test_what_follows_the_hello_is_ignored() -> None:
    hello = made_hello(alpn_extension(b"imap"))
    assert read_client_hello(hello + b"\x14\3\3\0\1\1 early data") == ClientHello(None, ("imap",))


def test_a_hello_spread_over_records_is_put_together() -> None:
    hello = made_hello(server_name_extension(b"a.example"), alpn_extension(b"smtp"), fragment_bytes=10)
    assert read_client_hello(hello) == ClientHello("a.example", ("smtp",))


def test_an_incomplete_hello_says_how_many_bytes_it_takes_at_least() -> None:
    hello = made_hello(alpn_extension(b"smtp"))
    assert read_client_hello(b"") == NeedMore(5)
    assert read_client_hello(hello[:4]) == NeedMore(5)
    assert read_client_hello(hello[:9]) == NeedMore(len(hello))
    assert read_client_hello(hello[:-1]) == NeedMore(len(hello))


def test_between_two_records_the_next_header_is_asked_for() -> None:
    hello = made_hello(alpn_extension(b"smtp"), fragment_bytes=30)
    assert read_client_hello(hello[:35]) == NeedMore(40)


@pytest.mark.parametrize(
    "start",
    [b"GET / HTTP/1.1\r\n", b"EHLO x\r\n", b"\x16\x02\x00\x00\x05", b"\x80\x2e\x01\x00\x02", b"\0", b"\x15\x03\x01"],
)
def test_what_is_no_tls_handshake_is_told_at_the_first_wrong_byte(start: bytes) -> None:
    with pytest.raises(NotTls):
        read_client_hello(start)


@pytest.mark.parametrize(
    "hello",
    [
        b"\x16\3\1\0\0",
        b"\x16\3\1\x40\1",
        records(handshake_message(b"", kind=2)),
        records(b"\1\xff\xff\xff"),
        records(handshake_message(hello_body() + b"x")),
        records(handshake_message(hello_body()[:-1])),
        records(handshake_message(b"")),
        made_hello(b"\0\x10\0\x04\0"),
        made_hello(alpn_extension()),
        made_hello(alpn_extension(b"")),
        made_hello(alpn_extension(b"imap"), alpn_extension(b"smtp")),
        made_hello(b"\0\x10\0\3\0\1x"),
        made_hello(server_name_extension(b"")),
        made_hello(server_name_extension(b"a\0b")),
        made_hello(server_name_extension("ä.example".encode())),
        made_hello(server_name_extension(b"a" * 256)),
        made_hello(server_name_extension(b"a.example", name_type=1)),
        made_hello(fragment_bytes=20)[:25] + b"\x17\3\3\0\1x",
    ],
)
def test_a_malformed_hello_is_refused(hello: bytes) -> None:
    with pytest.raises(BadClientHello):
        read_client_hello(hello)


def test_a_hello_beyond_the_size_limit_is_refused_before_it_has_arrived() -> None:
    padding = b"\0\x15" + (60_000).to_bytes(2) + bytes(60_000)
    with pytest.raises(BadClientHello):
        read_client_hello(made_hello(padding)[:100])


def test_many_records_within_one_hello_are_refused() -> None:
    one_byte_each = made_hello(alpn_extension(b"smtp"), fragment_bytes=1)
    with pytest.raises(BadClientHello):
        read_client_hello(one_byte_each)
    assert read_client_hello(one_byte_each[: 6 * (MAX_RECORDS - 1)]) == NeedMore(6 * (MAX_RECORDS - 1) + 5)


def test_a_hello_of_nearly_the_largest_size_is_read() -> None:
    padding = b"\0\x15" + (15_000).to_bytes(2) + bytes(15_000)
    hello = made_hello(padding, alpn_extension(b"imap"))
    assert len(hello) < MAX_HELLO_BYTES
    assert read_client_hello(hello) == ClientHello(None, ("imap",))
