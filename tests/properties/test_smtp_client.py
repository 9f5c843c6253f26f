"""What other servers reply, and messages as DATA carries them: in any pieces, whatever the bytes."""

from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from chatmail.mail.envelope import SmtpReply
from chatmail.net.smtp_client import dot_stuffed
from chatmail.net.smtp_replies import SmtpReplyError, take_reply

PARTS = [b"250 ", b"250-", b"451 4.2.0 x", b"5.1.1", b"\r\n", b"\n", b"\r", b"-", b"2", b"\xff", b"\x00", b" "]
WIRE = st.lists(st.sampled_from(PARTS), max_size=30).map(b"".join)
TEXT = st.lists(st.sampled_from([b".", b"..", b"\r\n", b"a", b" "]), max_size=40).map(b"".join)


def replies(wire: bytes, piece: int) -> list[SmtpReply | None]:
    buffer, found = bytearray(), list[SmtpReply | None]()
    for at in range(0, len(wire), piece):
        buffer += wire[at : at + piece]
        try:
            while (taken := take_reply(buffer)) is not None:
                found.append(taken[0])
        except SmtpReplyError:
            return [*found, None]
    return found


@given(WIRE, st.integers(1, 9))
def test_replies_are_read_or_refused_alike_whole_and_in_pieces(wire: bytes, piece: int) -> None:
    whole = replies(wire, len(wire) or 1)
    assert replies(wire, piece) == whole
    for reply in filter(None, whole):
        assert 200 <= reply.code < 600
        assert not {"\r", "\n", "\0"} & set(str(reply))


@given(st.integers(200, 599), st.sampled_from(["", "1.1", "7.26"]), st.sampled_from(["", "OK", "two words"]))
def test_what_we_would_write_is_read_back(code: int, rest: str, text: str) -> None:
    enhanced = f"{str(code)[0]}.{rest}" if rest and str(code)[0] in "245" else ""
    written = " ".join(filter(None, (enhanced, text)))
    assert replies(f"{code} {written}\r\n".encode(), 100) == [SmtpReply(code, text, enhanced)]


async def _stuffed(content: bytes, piece: int) -> bytes:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(content), piece):
            yield content[at : at + piece]

    return b"".join([wire async for wire in dot_stuffed(pieces())])


@given(TEXT, st.integers(1, 9))
async def test_dots_are_stuffed_and_the_end_stands_alone(content: bytes, piece: int) -> None:
    wire = await _stuffed(content, piece)
    assert wire.endswith(b"\r\n.\r\n")
    lines = wire.removesuffix(b".\r\n").split(b"\r\n")
    assert b"." not in lines
    undone = b"\r\n".join(line.removeprefix(b".") for line in lines)
    assert undone == (content if content.endswith(b"\r\n") else content + b"\r\n")
