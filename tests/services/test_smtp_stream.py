import asyncio
from collections.abc import AsyncIterator

import pytest

from chatmail.mail.envelope import SmtpReply
from chatmail.services.smtp_stream import MAX_LINE_BYTES, ConnectionOverError, PeerGoneError, SmtpStream
from chatmail.turns import Turns
from tests.support.smtp_wire import Wire


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
async def stream(wire: Wire) -> AsyncIterator[SmtpStream]:
    stream = SmtpStream(asyncio.Protocol(), asyncio.get_running_loop(), Turns().turn(None))
    stream.connected(wire.transport)
    yield stream
    stream.lost()


async def test_lines_come_out_as_they_were_sent_however_they_were_cut(stream: SmtpStream) -> None:
    stream.feed(b"EHLO x\r\nNO")
    assert await stream.read_line() == b"EHLO x"
    assert stream.has_input
    waiting = asyncio.create_task(stream.read_line())
    for piece in (b"OP", b"\r", b"\n"):
        await asyncio.sleep(0)
        assert not waiting.done()
        stream.feed(piece)
    assert await waiting == b"NOOP"
    assert not stream.has_input


async def test_as_many_bytes_as_were_used_may_come_while_waiting(stream: SmtpStream) -> None:
    stream.feed(b"12345\r\nabcdefg")
    await stream.read_line()
    waiting = asyncio.create_task(stream.read_line())
    await asyncio.sleep(0)
    stream.feed(b"hijkl\r\n")
    assert await waiting == b"abcdefghijkl"


@pytest.mark.parametrize("crooked", [b"a\n", b"a\rb\r\n", b"a\0b\r\n", b"a\nb\r\n"])
async def test_a_crooked_line_ends_the_connection(stream: SmtpStream, crooked: bytes) -> None:
    stream.feed(crooked)
    with pytest.raises(ConnectionOverError, match=r"500 5\.5\.2"):
        await stream.read_line()


async def test_a_line_too_long_ends_the_connection_before_its_end_has_come(stream: SmtpStream) -> None:
    stream.feed(b"x" * (MAX_LINE_BYTES + 1))
    with pytest.raises(ConnectionOverError, match=r"500 5\.5\.6"):
        await stream.read_line()


async def test_chunks_are_everything_that_is_here_and_can_be_put_back(stream: SmtpStream) -> None:
    stream.feed(b"DATA\r\nabc")
    await stream.read_line()
    stream.feed(b"def")
    assert await stream.read_chunk() == b"abcdef"
    stream.feed(b"ghi")
    stream.unread(b"QUIT\r\n")
    assert await stream.read_line() == b"QUIT"
    assert await stream.read_chunk() == b"ghi"


async def test_reading_pauses_while_much_is_waiting_and_resumes_when_it_is_used(stream: SmtpStream, wire: Wire) -> None:
    stream.feed(b"x" * 300_000)
    assert not wire.is_reading
    await stream.read_chunk()
    assert wire.is_reading


async def test_reading_stays_paused_while_much_was_put_back(stream: SmtpStream, wire: Wire) -> None:
    """As for every message of a peer that sends one behind the other without waiting."""
    stream.feed(b"x" * 300_000)
    for _ in range(5):
        chunk = await stream.read_chunk()
        stream.unread(chunk[5_000:])
        assert not wire.is_reading
    while wire.is_reading is False:
        chunk = await stream.read_chunk()
        stream.unread(chunk[5_000:])
    assert len(chunk) - 5_000 <= 256 * 1024


async def test_replies_wait_for_the_end_of_the_batch_and_go_out_in_one_write(stream: SmtpStream, wire: Wire) -> None:
    for reply in ("250 one", "250 two"):
        await stream.push(reply)
    assert wire.written == b""
    waiting = asyncio.create_task(stream.read_line())
    await asyncio.sleep(0)
    assert wire.written == b"250 one\r\n250 two\r\n"
    waiting.cancel()


async def test_a_reply_cannot_be_made_of_several_lines_or_of_strange_characters(stream: SmtpStream, wire: Wire) -> None:
    await stream.push("500 <a\r\n250 b>\0ü")
    await stream.flush()
    assert wire.written == b"500 <a??250 b>??\r\n"


async def test_a_peer_that_does_not_read_is_waited_for_and_then_given_up(stream: SmtpStream, wire: Wire) -> None:
    stream.pause_writing()
    flushing = asyncio.create_task(stream.flush())
    await asyncio.sleep(0)
    assert not flushing.done()
    stream.resume_writing()
    await flushing
    stream.pause_writing()
    stream.expire_in(0.01)
    with pytest.raises(ConnectionOverError, match=r"421 4\.4\.2"):
        await stream.flush()


async def test_a_deadline_counts_only_while_the_peer_is_waited_for(stream: SmtpStream) -> None:
    stream.expire_in(0.0)
    for _ in range(3):
        await asyncio.sleep(0)
    stream.feed(b"NOOP\r\n")
    assert await stream.read_line() == b"NOOP"


async def test_a_later_deadline_replaces_the_earlier_one_and_an_earlier_one_the_later(stream: SmtpStream) -> None:
    stream.expire_in(0.0)
    stream.expire_in(60.0)
    stream.expire_in(0.01)
    with pytest.raises(ConnectionOverError, match=r"421 4\.4\.2"):
        await stream.read_line()


async def test_what_was_read_whole_is_given_out_before_the_end_is_raised(stream: SmtpStream) -> None:
    stream.feed(b"NOOP\r\nhalf")
    stream.feed_eof()
    assert await stream.read_line() == b"NOOP"
    with pytest.raises(PeerGoneError):
        await stream.read_line()


async def test_the_end_is_raised_out_of_the_present_wait(stream: SmtpStream) -> None:
    waiting = asyncio.create_task(stream.read_line())
    await asyncio.sleep(0)
    stream.end(SmtpReply(421, "Enough", "4.3.2"))
    with pytest.raises(ConnectionOverError, match=r"421 4\.3\.2 Enough"):
        await waiting


async def test_closing_sends_the_last_words(stream: SmtpStream, wire: Wire) -> None:
    await stream.push("250 OK")
    stream.close(SmtpReply(221, "Bye", "2.0.0"))
    assert wire.written == b"250 OK\r\n221 2.0.0 Bye\r\n"
    assert wire.is_closing
    stream.abort()
    assert wire.is_aborted
