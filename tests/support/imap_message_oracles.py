"""What must hold for any message an IMAP client may look into: entry functions of fuzz targets."""

from collections.abc import Iterator
from datetime import UTC, datetime

from chatmail.imap.bodystructure import body_structure
from chatmail.imap.commands import Search
from chatmail.imap.envelope_structure import envelope_structure
from chatmail.imap.part_tree import MAX_DEPTH, MAX_PARTS, Part, PartScanner, scan_parts
from chatmail.imap.search import Candidate, SearchScope, SearchTest, cheap_part, text_parts
from chatmail.imap.sections import fields_selector, find_part, other_fields_selector, section_range
from chatmail.imap.syntax import ImapSyntaxError
from chatmail.mail.changes import SEEN, MessageRecord, ModSeq, SeqNum, Uid
from chatmail.mail.message import MessageError, header_length
from tests.support.imap_reader import read_whole
from tests.support.imap_text import parsed

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


# --- structure --------------------------------------------------------------------------------------------------


def check_structure(data: bytes) -> None:
    """Parts: whole = octet by octet, within their parents; described as the grammar wants, and found by number."""
    root = scan_parts(data)
    scanner = PartScanner()
    for start in range(len(data)):
        scanner.feed(data[start : start + 1])
    assert shape(root) == shape(scanner.finish())
    assert root.end == len(data)
    assert sum(1 for _part in _walk(root)) <= MAX_PARTS + 1
    assert _depth(root) <= MAX_DEPTH
    for extended in (False, True):
        check_body(read_whole(body_structure(root, extended=extended)), extended=extended)
    check_envelope(read_whole(envelope_structure(data)))
    _check_sections(root, data)


def shape(part: Part) -> tuple[object, ...]:
    """All that two trees of the same message have in common."""
    return (part.start, part.body_start, part.end, part.lines, part.fields, *map(shape, part.children))


def _walk(part: Part) -> Iterator[Part]:
    yield part
    for child in part.children:
        yield from _walk(child)


def _depth(part: Part) -> int:
    return 1 + max(map(_depth, part.children), default=0)


def check_body(body: object, *, extended: bool) -> None:
    """`body = "(" (body-type-1part / body-type-mpart) ")"`, with every field of the right kind."""
    assert isinstance(body, list) and body
    if isinstance(body[0], list):
        parts = [each for each in body if isinstance(each, list)] if not extended else body[: _parts_in(body)]
        for part in parts:
            check_body(part, extended=extended)
        assert isinstance(body[len(parts)], bytes)
        assert len(body) == len(parts) + (5 if extended else 1)
        return
    media_type, subtype, parameters, content_id, description, encoding, size, *rest = body
    assert isinstance(media_type, bytes) and isinstance(subtype, bytes)
    _check_parameters(parameters)
    assert content_id is None or isinstance(content_id, bytes)
    assert description is None or isinstance(description, bytes)
    assert isinstance(encoding, bytes) and isinstance(size, int)
    if (media_type.lower(), subtype.lower()) == (b"message", b"rfc822"):
        envelope, inner, lines, *rest = rest
        check_envelope(envelope)
        check_body(inner, extended=extended)
        assert isinstance(lines, int)
    elif media_type.lower() == b"text":
        assert isinstance(rest[0], int)
        rest = rest[1:]
    assert len(rest) == (4 if extended else 0)
    if extended:
        _check_disposition(rest[1])


def _parts_in(body: list[object]) -> int:
    """How many bodies a multipart begins with: all lists before its subtype."""
    return next(number for number, each in enumerate(body) if not isinstance(each, list))


def _check_parameters(parameters: object) -> None:
    """`body-fld-param = "(" string SP string *(SP string SP string) ")" / nil`."""
    assert parameters is None or (isinstance(parameters, list) and parameters and len(parameters) % 2 == 0)
    assert all(isinstance(each, bytes) for each in parameters or ())


def _check_disposition(disposition: object) -> None:
    """`body-fld-dsp = "(" string SP body-fld-param ")" / nil`."""
    if disposition is not None:
        assert isinstance(disposition, list) and len(disposition) == 2 and isinstance(disposition[0], bytes)
        _check_parameters(disposition[1])


def check_envelope(envelope: object) -> None:
    """Ten fields: date, subject, six lists of addresses, in-reply-to, message-id."""
    assert isinstance(envelope, list) and len(envelope) == 10
    for text in (*envelope[:2], *envelope[8:]):
        assert text is None or isinstance(text, bytes)
    for addresses in envelope[2:8]:
        assert addresses is None or (isinstance(addresses, list) and addresses)
        for address in addresses or ():
            assert isinstance(address, list) and len(address) == 4
            assert all(each is None or isinstance(each, bytes) for each in address)


def _check_sections(root: Part, data: bytes) -> None:
    for path in ((), *_paths(root)):
        part = find_part(root, path)
        assert part is not None
        for text in ("", "HEADER", "TEXT", "MIME"):
            found = section_range(root, path, text)
            assert found is None or 0 <= found[0] <= found[1] <= len(data)
        header = data[part.start : part.body_start]
        chosen, others = fields_selector((b"From", b"x"))(header), other_fields_selector((b"From", b"x"))(header)
        assert chosen.endswith(b"\n") and others.endswith(b"\n")


def _paths(part: Part, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """The numbers of all parts of multiparts, also within nested messages."""
    inner = part.children[0] if part.is_message and path else part
    for number, child in enumerate(inner.children if inner.is_multipart else (), 1):
        yield (*path, number)
        yield from _paths(child, (*path, number))


# --- SEARCH -----------------------------------------------------------------------------------------------------


def texts_of(message_bytes: bytes) -> list[str]:
    """What SEARCH sees of a message that is in memory."""
    return [part.decode(message_bytes[part.start : part.end]) for part in text_parts(scan_parts(message_bytes))]


def check_search(data: bytes) -> None:
    """The first line are keys, the rest a message: it matches or not, and the cheap half lets all through that does."""
    line, _, message_bytes = data.partition(b"\n")
    try:
        command = parsed(b"SEARCH " + line)
    except ImapSyntaxError:
        return
    assert isinstance(command, Search)
    scope = SearchScope(highest_seq_num=3, highest_uid=30, saved=[Uid(10)], now=NOW)
    try:
        length = header_length(message_bytes) or len(message_bytes)
    except MessageError:
        length = len(message_bytes)
    record = MessageRecord(Uid(10), ModSeq(7), frozenset({SEEN}), len(message_bytes), NOW, NOW, 1)
    candidate = Candidate(SeqNum(1), record, message_bytes[:length], texts_of(message_bytes), "M1")
    matches = SearchTest(command.key, scope).matches(candidate)
    assert SearchTest(cheap_part(command.key), scope).matches(Candidate(SeqNum(1), record, email_id="M1")) >= matches
