"""What a client can say is read back as it was meant; everything else raises the documented error."""

from datetime import date, datetime, timedelta, timezone

from hypothesis import example, given
from hypothesis import strategies as st

from chatmail.imap import search_keys as k
from chatmail.imap import utf7
from chatmail.imap.commands import (
    Command,
    Copy,
    Fetch,
    List,
    ListReturn,
    ListSelect,
    Login,
    QresyncParameters,
    Rename,
    Search,
    Select,
    SetMetadata,
    Status,
    StatusItem,
    Store,
    StoreMode,
)
from chatmail.imap.encoding import date_time, string
from chatmail.imap.fetch_items import BinarySection, BinarySize, BodySection, FetchAttribute, Partial, SectionText
from chatmail.imap.grammar import Cursor
from chatmail.imap.sequence_set import STAR, SavedResult, SequenceSet, UidSet
from chatmail.mail.changes import SYSTEM_FLAGS, Flag, ModSeq
from tests.support.imap_encoding import encode_command
from tests.support.imap_oracles import check_command, check_mailbox_name
from tests.support.imap_text import parsed

numbers = st.integers(1, 2**32 - 1)
modseqs = st.integers(1, 2**63 - 1).map(ModSeq)
ranges = st.tuples(numbers, numbers | st.just(STAR)).map(lambda pair: (min(pair), max(pair)))
ranges_of_some = st.lists(ranges | st.just((STAR, STAR)), min_size=1, max_size=5).map(tuple)
sequence_sets, uid_sets = ranges_of_some.map(SequenceSet), ranges_of_some.map(UidSet)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20).filter(
    lambda name: name.upper() != "INBOX"
)
mailboxes = names | st.just("INBOX")
atoms = st.from_regex(r"[A-Za-z0-9$_.-]{1,12}", fullmatch=True)
flags = st.frozensets(st.sampled_from(SYSTEM_FLAGS) | atoms.map(Flag), max_size=6)
paths = st.lists(st.integers(1, 99), max_size=4).map(tuple)
partials = st.none() | st.builds(Partial, st.integers(0, 2**40), st.integers(1, 2**40))
field_names = st.lists(st.from_regex(rb"[!-9;-~]{1,20}", fullmatch=True), min_size=1, max_size=5).map(tuple)
header_texts: st.SearchStrategy[SectionText] = st.sampled_from(("HEADER.FIELDS", "HEADER.FIELDS.NOT"))
body_sections = (
    st.builds(BodySection, paths, st.sampled_from(("", "HEADER", "TEXT")), st.just(()), partials, st.booleans())
    | st.builds(BodySection, paths.filter(bool), st.just("MIME"), st.just(()), partials, st.booleans())
    | st.builds(BodySection, paths, header_texts, field_names, partials, st.booleans())
)
fetch_items = (
    st.sampled_from(FetchAttribute)
    | body_sections
    | st.builds(BinarySection, paths, partials, st.booleans())
    | st.builds(BinarySize, paths)
)
plain_keys = st.one_of(
    st.just(k.All()),
    st.builds(k.HasFlag, st.sampled_from(SYSTEM_FLAGS) | atoms.map(Flag)),
    st.builds(k.InSet, sequence_sets | uid_sets | st.just(SavedResult())),
    st.builds(k.HeaderContains, st.from_regex(rb"[!-9;-~]{1,9}", fullmatch=True), texts),
    st.builds(k.BodyContains, texts),
    st.builds(k.DateIs, st.sampled_from(k.DateField), st.sampled_from(k.DateRelation), st.dates(date(1, 1, 1))),
    st.builds(k.Larger, st.integers(0, 2**63 - 1)),
    st.builds(k.Younger, numbers),
    st.builds(k.ModSeqAtLeast, modseqs),
)
search_keys: st.SearchStrategy[k.SearchKey] = st.recursive(
    plain_keys,
    lambda inner: (
        st.builds(k.Not, inner)
        | st.builds(k.Or, inner, inner)
        | st.builds(k.And, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=8,
)
status_items = st.lists(st.sampled_from(StatusItem), min_size=1, unique=True).map(tuple)
qresync = st.builds(
    QresyncParameters, numbers, modseqs, st.none() | uid_sets, st.none() | st.tuples(sequence_sets, uid_sets)
)
selections = st.frozensets(st.sampled_from(ListSelect)).filter(
    lambda chosen: (
        ListSelect.RECURSIVEMATCH not in chosen or not chosen <= {ListSelect.RECURSIVEMATCH, ListSelect.REMOTE}
    )
)
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(Login, texts, texts),
    st.builds(Select, mailboxes, st.booleans(), st.booleans(), st.none() | qresync),
    st.builds(Rename, mailboxes, mailboxes),
    st.builds(Status, mailboxes, status_items),
    st.builds(
        List,
        mailboxes | st.just(""),
        st.lists(mailboxes, min_size=1, max_size=3).map(tuple),
        selections,
        st.frozensets(st.sampled_from(ListReturn)),
        st.just(()) | status_items,
        st.just(True),
    ),
    st.builds(
        SetMetadata,
        mailboxes | st.just(""),
        st.lists(st.tuples(atoms.map(lambda name: "/" + name.lower()), st.none() | st.binary(max_size=30)), min_size=1)
        .map(lambda pairs: tuple(pairs[:5])),
    ),
    st.builds(Fetch, sequence_sets, st.lists(fetch_items, min_size=1, max_size=5).map(tuple), st.just(False)),
    st.builds(
        Fetch, uid_sets, st.lists(fetch_items, min_size=1, max_size=3).map(tuple), st.just(True), modseqs, st.booleans()
    ),
    st.builds(
        Store, uid_sets | st.just(SavedResult()), st.sampled_from(StoreMode), flags, st.booleans(), st.just(True),
        st.none() | modseqs,
    ),
    st.builds(Copy, sequence_sets, mailboxes, st.just(False), st.booleans()),
    st.builds(Search, search_keys, st.booleans()),
)  # fmt: skip


@given(commands)
def test_what_was_written_is_read_back(command: Command) -> None:
    assert parsed(encode_command(command)) == command


@given(st.binary(max_size=200))
def test_any_bytes_are_a_command_or_a_syntax_error(data: bytes) -> None:
    check_command(data)
    check_command(b"A1 " + data)


@given(commands.map(encode_command), st.integers(0, 200), st.binary(max_size=3))
def test_damaged_commands_are_commands_or_syntax_errors(encoded: bytes, position: int, octets: bytes) -> None:
    check_command(b"A1 " + encoded[:position] + octets + encoded[position + 1 :])
    check_command(b"A1 " + encoded[:position])


@given(names)
@example("&")
@example("\U0001f600&\U0001f600")
def test_every_name_has_a_spelling(name: str) -> None:
    assert utf7.decode(utf7.encode(name)) == name


@given(st.binary(max_size=30) | st.from_regex(rb"[a&+,A-Z0-9-]{0,20}", fullmatch=True))
def test_every_spelling_is_the_one_of_its_name(data: bytes) -> None:
    check_mailbox_name(data)


@given(st.binary(max_size=60))
def test_strings_are_read_back_without_nul(value: bytes) -> None:
    assert Cursor(string(value)).string() == value.replace(b"\0", b"")


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)), st.integers(-12 * 60, 14 * 60))
def test_moments_are_read_back_to_the_second(moment: datetime, zone_minutes: int) -> None:
    aware = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=zone_minutes)))
    assert Cursor(date_time(aware)).date_time() == aware


small_ranges = st.lists(
    st.tuples(st.integers(1, 12), st.integers(1, 12) | st.just(STAR)).map(lambda pair: (min(pair), max(pair)))
    | st.just((STAR, STAR)),
    max_size=5,
)


@given(small_ranges, st.integers(0, 10))
def test_a_resolved_set_holds_what_the_ranges_say(ranges: list[tuple[int, int]], highest: int) -> None:
    expected: set[int] = set()
    for low, high in ranges:
        if high != STAR:
            expected.update(range(low, high + 1))
        elif highest:
            low = highest if low == STAR else low
            expected.update(range(min(low, highest), max(low, highest) + 1))
    resolved = UidSet(tuple(ranges)).resolve(highest)
    assert [n for low, high in resolved for n in range(low, high + 1)] == sorted(expected)
    assert UidSet.of(sorted(expected)).resolve(0) == resolved
