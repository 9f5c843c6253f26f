import pytest

from chatmail.mail.data_decoder import DataDecoder, DataFault

MIB = 1024 * 1024


def decode(*chunks: bytes, limit: int = MIB) -> tuple[bytes, DataDecoder]:
    decoder = DataDecoder(limit)
    return b"".join(decoder.feed(chunk) for chunk in chunks), decoder


def bytewise(wire: bytes, limit: int = MIB) -> tuple[bytes, DataDecoder]:
    decoder = DataDecoder(limit)
    decoded = b""
    for position in range(len(wire)):
        decoded += decoder.feed(wire[position : position + 1])
        if decoder.finished:
            assert position == len(wire) - 1
    return decoded, decoder


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"Hello\r\n.\r\n", b"Hello\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b".. two\r\n.\r\n", b". two\r\n"),
        (b"...\r\n.\r\n", b"..\r\n"),
        (b".x\r\n.\r\n", b"x\r\n"),
        (b"a\r\n..\r\n...\r\n.\r\n", b"a\r\n.\r\n..\r\n"),
        (b"a.\r\n.\r\n", b"a.\r\n"),
        (b"a\r\n.b\r\n..\r\n\r\n.\r\n", b"a\r\nb\r\n.\r\n\r\n"),
    ],
)
def test_dots_are_undone_and_the_end_is_found_whole_and_byte_by_byte(wire: bytes, message: bytes) -> None:
    for decoded, decoder in (decode(wire), bytewise(wire)):
        assert (decoded, decoder.finished, decoder.fault) == (message, True, None)
        assert decoder.size_bytes == len(message)


def test_what_follows_the_end_is_left_for_the_next_command() -> None:
    decoded, decoder = decode(b"Hello\r\n.\r\nQUIT\r\n.\r\n")
    assert decoded == b"Hello\r\n"
    assert decoder.rest == b"QUIT\r\n.\r\n"


@pytest.mark.parametrize("cut", range(1, 12))
def test_the_end_is_found_wherever_a_chunk_is_cut(cut: int) -> None:
    wire = b"Hello\r\n.\r\nNOOP\r\n"
    decoder = DataDecoder(MIB)
    decoded = decoder.feed(wire[:cut])
    rest = decoder.rest + wire[cut:]
    if not decoder.finished:
        decoded += decoder.feed(wire[cut:])
        rest = decoder.rest
    assert (decoded, rest, decoder.finished) == (b"Hello\r\n", b"NOOP\r\n", True)


@pytest.mark.parametrize(
    "false_end",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\n",
        b"\r\n.\r",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\n\n.\r\n",
        b"\r\r\n.\r\r\n",
        b"\r\n.\r\r\n",
    ],
)
def test_no_other_byte_sequence_ends_the_message_and_each_makes_it_faulty(false_end: bytes) -> None:
    wire = b"first" + false_end + b"MAIL FROM:<evil@example.org>\r\n.\r\nNOOP\r\n"
    _, decoder = decode(wire)
    assert (decoder.finished, decoder.fault, decoder.rest) == (True, DataFault.LINE_ENDS, b"NOOP\r\n")


@pytest.mark.parametrize("crooked", [b"a\nb\r\n", b"a\rb\r\n", b"a\0b\r\n", b"\n", b"\r\r\n", b"a\r"])
def test_a_bare_line_end_or_a_nul_is_a_fault(crooked: bytes) -> None:
    _, decoder = decode(crooked + b"\r\n.\r\n")
    assert (decoder.finished, decoder.fault) == (True, DataFault.LINE_ENDS)


def test_a_carriage_return_at_the_end_of_a_chunk_waits_for_its_line_feed() -> None:
    decoded, decoder = decode(b"a\r", b"\nb\r", b"\n.\r", b"\n")
    assert (decoded, decoder.finished, decoder.fault) == (b"a\r\nb\r\n", True, None)


def test_a_message_of_exactly_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert decode(b"12345678\r\n.\r\n", limit=10)[1].fault is None
    assert decode(b"123456789\r\n.\r\n", limit=10)[1].fault is DataFault.TOO_BIG


def test_taken_out_dots_do_not_count_against_the_limit() -> None:
    assert decode(b"..345678\r\n.\r\n", limit=9)[1].fault is None


def test_after_a_fault_nothing_is_given_out_but_the_end_is_still_found() -> None:
    decoder = DataDecoder(4)
    assert decoder.feed(b"too much\r\n") == b""
    assert decoder.feed(b"and more\r\n") == b""
    assert decoder.feed(b".\r\nRSET\r\n") == b""
    assert (decoder.finished, decoder.rest) == (True, b"RSET\r\n")
