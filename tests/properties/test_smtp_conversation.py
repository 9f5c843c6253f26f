"""Whatever a client sends, and however TCP cuts it: the same replies, and the same messages and no others."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.smtp_wire import converse

MAIL = b"MAIL FROM:<a@b.c>\r\n"
RCPT = b"RCPT TO:<d@e.f>\r\n"
LINES = [
    MAIL,
    RCPT,
    b"DATA\r\n",
    b".\r\n",
    b"..\r\n",
    b"text\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"QUIT\r\n",
    b"\r\n",
    b"\n",
]
CROOKED = [
    b"\n.\n",
    b"\r.\r\n",
    b"\0",
    b"\r",
    b".",
    b"STARTTLS\r\n",
    b"AUTH PLAIN\r\n",
    b"\xff\r\n",
    b"RCPT TO:<later@x>\r\n",
]
STREAM = st.lists(st.sampled_from([*LINES, *CROOKED, MAIL + RCPT + b"DATA\r\n"]), max_size=25).map(b"".join)
OUT_OF_STEP = "421 4.5.0"


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(min(place, len(stream)) for place in places)})
    return [stream[start:stop] for start, stop in pairwise(edges)]


@given(STREAM, st.lists(st.integers(0, 300), max_size=8))
def test_cutting_the_stream_changes_no_reply_and_no_message(stream: bytes, places: list[int]) -> None:
    replies, messages = converse([stream])
    if not any(reply.startswith(OUT_OF_STEP) for reply in replies):
        assert converse(cut(stream, places)) == (replies, messages)


@settings(max_examples=20)
@given(STREAM)
def test_one_byte_at_a_time_is_the_same(stream: bytes) -> None:
    replies, messages = converse([stream])
    if not any(reply.startswith(OUT_OF_STEP) for reply in replies):
        assert converse([bytes([byte]) for byte in stream]) == (replies, messages)


@given(st.one_of(STREAM, st.binary(max_size=300)))
def test_no_stream_makes_a_bug_show(stream: bytes) -> None:
    replies, messages = converse([stream])
    assert all(reply[:3].isdigit() and reply.isascii() for reply in replies)
    assert not any(reply.startswith("421 4.3.0") for reply in replies)
    assert all(not {0x0, 0xA, 0xD} & set(message.replace(b"\r\n", b"")) for message in messages)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(max_size=40).filter(lambda text: not {0x0, 0xA, 0xD} & set(text)), max_size=6), STREAM)
def test_text_of_a_message_never_becomes_a_command(lines: list[bytes], commands: bytes) -> None:
    stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
    _, messages = converse([MAIL + RCPT + b"DATA\r\n" + stuffed + b".\r\n" + commands])
    assert messages[0] == b"".join(line + b"\r\n" for line in lines)
