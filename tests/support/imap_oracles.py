"""What must hold for any bytes a client sends: the entry functions of the IMAP fuzz targets, run by the fast tests too.

Each takes arbitrary bytes and raises only if the project has a bug.
"""

from chatmail.imap import utf7
from chatmail.imap.commands import TaggedCommand
from chatmail.imap.deflate import PIECE_BYTES, Deflate, DeflateError
from chatmail.imap.events import AppendBegin, AppendData, AppendNext, BadCommand, Event
from chatmail.imap.fragments import Announced, Fragment, Fragments, LiteralChunk, TooMuch
from chatmail.imap.parse_command import parse_command, tag_of
from chatmail.imap.syntax import ImapSyntaxError
from tests.support.imap_core import SMALL, YesSession, yes_session


def check_command(data: bytes) -> None:
    """The grammar: a command, whose tag is the one a refusal would carry, or the documented error."""
    for text in (data, b"A1 " + data):
        _check_command(text)


def _check_command(data: bytes) -> None:
    for utf8_names in (False, True):
        try:
            tagged = parse_command(data, utf8_names=utf8_names)
        except ImapSyntaxError as error:
            assert str(error).isascii()
            continue
        assert isinstance(tagged, TaggedCommand) and tagged.tag == tag_of(data)


def check_conversation(data: bytes) -> None:
    """The connection: whole = octet by octet, in events and in what is written; nothing is raised or kept for long."""
    for logged_in in (False, True):
        whole = yes_session(data, logged_in=logged_in)
        bytewise = yes_session(logged_in=logged_in)
        for start in range(len(data)):
            bytewise.feed(data[start : start + 1])
        assert whole.written == bytewise.written
        assert normal(whole.events) == normal(bytewise.events)
        _check_appends(whole)


def normal(events: list[Event]) -> list[Event]:
    """The events with adjacent pieces of a message joined, and without those of a message that turned out bad."""
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if isinstance(last, AppendData) and isinstance(event, AppendData):
            joined[-1] = AppendData(last.data + event.data)
        elif isinstance(last, AppendData) and isinstance(event, BadCommand):
            joined[-1] = event
        else:
            joined.append(event)
    return joined


def _check_appends(session: YesSession) -> None:
    """No message is longer than it was announced, and pieces come only after an announcement."""
    left = 0
    for event in session.events:
        match event:
            case AppendBegin(message=message) | AppendNext(message):
                left = message.size_bytes
            case AppendData(data):
                left -= len(data)
                assert data and left >= 0
            case BadCommand():
                left = 0


def check_deflate(data: bytes) -> None:
    """A compressed stream: small pieces, and the same octets or the same error, whole as byte by byte."""
    whole, is_broken = _inflated([data])
    bytewise, is_broken_bytewise = _inflated([data[start : start + 1] for start in range(len(data))])
    assert is_broken == is_broken_bytewise
    # What comes in one piece with the break is lost with it.
    assert bytewise.startswith(whole) and (is_broken or bytewise == whole)


def _inflated(chunks: list[bytes]) -> tuple[bytes, bool]:
    """What came out, and whether the stream broke."""
    deflate, out = Deflate(), b""
    try:
        for chunk in chunks:
            deflate.receive(chunk)
            while deflate.is_waiting:
                piece = deflate.read()
                assert len(piece) <= PIECE_BYTES
                out += piece
    except DeflateError:
        return out, True
    return out, False


def check_mailbox_name(data: bytes) -> None:
    """Modified UTF-7: a name has one spelling, and a spelling one name."""
    try:
        name = utf7.decode(data)
    except ImapSyntaxError:
        return
    assert utf7.encode(name) == data


def check_fragments(data: bytes) -> None:
    """Lines and literals: whole = octet by octet, whatever is decided about each literal."""
    for decisions in ("collect", "stream", "refuse", "discard", "collect stream", "stream discard collect"):
        whole = _fragments([data], decisions.split())
        bytewise = _fragments([data[start : start + 1] for start in range(len(data))], decisions.split())
        assert whole == bytewise


def _fragments(pieces: list[bytes], decisions: list[str]) -> list[Fragment]:
    """What comes out, with adjacent pieces of a literal joined; the n-th literal meets the n-th decision, in a ring."""
    fragments = Fragments(SMALL)
    found: list[Fragment] = []
    announced = 0
    for piece in pieces:
        fragments.receive_data(piece)
        while not (found and isinstance(found[-1], TooMuch)) and (fragment := fragments.next_fragment()) is not None:
            if isinstance(fragment, Announced):
                decision = decisions[announced % len(decisions)]
                announced += 1
                is_long = decision == "collect" and not fragments.may_collect()
                getattr(fragments, "discard" if is_long else decision)()
            if isinstance(fragment, LiteralChunk) and found and isinstance(found[-1], LiteralChunk):
                found[-1] = LiteralChunk(found[-1].data + fragment.data)
            else:
                found.append(fragment)
    return found
