import sys

import pytest

from chatmail.imap import commands
from chatmail.imap.commands import AppendMessage, TaggedCommand
from chatmail.imap.connection import MAX_WAITING_BYTES, Connection
from chatmail.imap.events import (
    NEED_DATA,
    PAUSED,
    AppendBegin,
    AppendData,
    AppendEnd,
    AppendNext,
    AuthenticateResponse,
    BadCommand,
    IdleDone,
    LiteralAnnounced,
)
from chatmail.imap.fragments import Limits
from chatmail.imap.response_codes import OVERQUOTA
from chatmail.imap.responses import Condition, Continuation, EnabledList, ListEntry, StatusResponse, bad, bye, no, ok
from chatmail.imap.states import State
from chatmail.mail.changes import NO_FLAGS
from tests.support.imap_core import SMALL, YesSession, yes_session

NOOP = TaggedCommand("A2", commands.Noop())
EMPTY_FIVE = AppendMessage(NO_FLAGS, None, 5)


def connection(data: bytes = b"", state: State = State.AUTHENTICATED) -> Connection:
    """Already in `state`, with `data` received."""
    made = Connection(SMALL)
    if state is not State.NOT_AUTHENTICATED:
        answer(made, b"L LOGIN user password\r\n", "L", Condition.OK)
    if state is State.SELECTED:
        answer(made, b"S SELECT INBOX\r\n", "S", Condition.OK)
    assert made.state is state
    made.receive_data(data)
    return made


def answer(to: Connection, line: bytes, tag: str, condition: Condition) -> None:
    """Send a command and answer it."""
    to.receive_data(line)
    assert isinstance(to.next_event(), TaggedCommand)
    to.send(StatusResponse(tag, condition, "done"))


# --- commands and states ----------------------------------------------------------------------------------------


def test_commands_wait_for_the_answer_of_the_one_before() -> None:
    core = connection(b"A1 NOOP\r\nA2 NOOP\r\n")
    assert core.next_event() == TaggedCommand("A1", commands.Noop())
    assert core.next_event() is PAUSED
    assert core.send(ok(None, "still here")) == b"* OK still here\r\n"
    assert core.next_event() is PAUSED
    assert core.send(ok("A1", "done")) == b"A1 OK done\r\n"
    assert core.next_event() == NOOP
    core.send(ok("A2", "done"))
    assert core.next_event() is NEED_DATA


@pytest.mark.parametrize(
    ("state", "line", "condition", "expected"),
    [
        (State.NOT_AUTHENTICATED, b"A LOGIN u p", Condition.OK, State.AUTHENTICATED),
        (State.NOT_AUTHENTICATED, b"A LOGIN u p", Condition.NO, State.NOT_AUTHENTICATED),
        (State.NOT_AUTHENTICATED, b"A AUTHENTICATE PLAIN AA==", Condition.OK, State.AUTHENTICATED),
        (State.AUTHENTICATED, b"A SELECT INBOX", Condition.OK, State.SELECTED),
        (State.AUTHENTICATED, b"A EXAMINE INBOX", Condition.OK, State.SELECTED),
        (State.SELECTED, b"A SELECT Other", Condition.NO, State.AUTHENTICATED),
        (State.SELECTED, b"A SELECT Other", Condition.BAD, State.SELECTED),
        (State.SELECTED, b"A CLOSE", Condition.OK, State.AUTHENTICATED),
        (State.SELECTED, b"A CLOSE", Condition.NO, State.SELECTED),
        (State.SELECTED, b"A UNSELECT", Condition.OK, State.AUTHENTICATED),
        (State.SELECTED, b"A NOOP", Condition.OK, State.SELECTED),
        (State.SELECTED, b"A LOGOUT", Condition.OK, State.LOGOUT),
    ],
)
def test_answers_move_the_state(state: State, line: bytes, condition: Condition, expected: State) -> None:
    core = connection(state=state)
    answer(core, line + b"\r\n", "A", condition)
    assert core.state is expected


@pytest.mark.parametrize(
    ("state", "line", "text"),
    [
        (State.NOT_AUTHENTICATED, b"A SELECT INBOX", "Log in first"),
        (State.NOT_AUTHENTICATED, b"A IDLE", "Log in first"),
        (State.AUTHENTICATED, b"A UID FETCH 1 UID", "Select a mailbox first"),
        (State.AUTHENTICATED, b"A EXPUNGE", "Select a mailbox first"),
        (State.SELECTED, b"A LOGIN u p", "Not allowed now"),
        (State.SELECTED, b"A STARTTLS", "Not allowed now"),
    ],
)
def test_commands_in_the_wrong_state_are_bad(state: State, line: bytes, text: str) -> None:
    core = connection(line + b"\r\nA2 NOOP\r\n", state)
    assert core.next_event() == BadCommand(bad("A", text))
    assert core.next_event() == NOOP


@pytest.mark.parametrize(
    ("line", "tag"),
    [(b"A XYZZY", "A"), (b"A NOOP 1", "A"), (b"A NO\0OP", "A"), (b"", None), (b"GET\t/", None), (b"\x16\x03", None)],
)
def test_what_is_no_command_is_answered_with_its_tag_if_it_has_one(line: bytes, tag: str | None) -> None:
    core = connection(line + b"\nA2 NOOP\n")
    event = core.next_event()
    assert isinstance(event, BadCommand) and not event.is_fatal
    assert (event.response.tag, event.response.condition) == (tag, Condition.BAD)
    assert core.next_event() == NOOP


def test_after_logout_nothing_is_read() -> None:
    session = yes_session(b"A1 LOGOUT\r\nA2 NOOP\r\n")
    assert session.written == b"A1 OK done\r\n"
    session.feed(b"A3 NOOP\r\n")
    assert session.connection.next_event() is PAUSED


def test_after_bye_nothing_is_read() -> None:
    core = connection(b"A1 NOOP\r\n")
    core.send(bye("shutting down"))
    assert (core.state, core.next_event()) == (State.LOGOUT, PAUSED)


def test_logout_says_bye_before_its_answer() -> None:
    core = connection(b"A1 LOGOUT\r\n")
    assert core.next_event() == TaggedCommand("A1", commands.Logout())
    assert core.send(bye("Goodbye")) + core.send(ok("A1", "done")) == b"* BYE Goodbye\r\nA1 OK done\r\n"
    assert core.state is State.LOGOUT


def test_a_greeting_may_authenticate() -> None:
    core = connection(state=State.NOT_AUTHENTICATED)
    core.send(StatusResponse(None, Condition.PREAUTH, "hello"))
    assert core.state is State.AUTHENTICATED


def test_a_mailbox_that_is_gone_is_no_longer_selected() -> None:
    core = connection(state=State.SELECTED)
    core.deselect()
    assert core.state is State.AUTHENTICATED
    core.deselect()
    assert core.state is State.AUTHENTICATED


def test_names_are_utf8_in_both_directions_once_enabled() -> None:
    core = connection(b"A1 ENABLE IMAP4rev2\r\n" + "A2 DELETE Entwürfe&\r\n".encode())
    assert core.next_event() == TaggedCommand("A1", commands.Enable(("IMAP4REV2",)))
    core.send(EnabledList(("IMAP4rev2",)))
    core.send(ok("A1", "done"))
    assert core.next_event() == TaggedCommand("A2", commands.Delete("Entwürfe&"))
    assert core.send(ListEntry("ü")) == '* LIST () "/" "ü"\r\n'.encode()


def test_enabling_anything_else_leaves_names_alone() -> None:
    core = connection()
    core.send(EnabledList(("CONDSTORE",)))
    assert not core.utf8_names


# --- STARTTLS ---------------------------------------------------------------------------------------------------


def test_what_was_sent_before_the_handshake_is_never_a_command() -> None:
    core = connection(b"A1 STARTTLS\r\nA2 LOGIN evil evil\r\n", State.NOT_AUTHENTICATED)
    assert core.next_event() == TaggedCommand("A1", commands.StartTls())
    core.send(ok("A1", "begin"))
    core.receive_data(b"A3 NOOP\r\n")
    assert core.next_event() is PAUSED
    core.tls_started()
    assert core.next_event() is NEED_DATA
    core.receive_data(b"A2 NOOP\r\n")
    assert core.next_event() == NOOP


def test_a_refused_starttls_changes_nothing() -> None:
    core = connection(b"A1 STARTTLS\r\nA2 NOOP\r\n", State.NOT_AUTHENTICATED)
    core.next_event()
    core.send(no("A1", "no certificate"))
    assert core.next_event() == NOOP


# --- AUTHENTICATE and IDLE --------------------------------------------------------------------------------------


def authenticating(line: bytes) -> Connection:
    core = connection(b"A1 AUTHENTICATE PLAIN\r\n" + line, State.NOT_AUTHENTICATED)
    assert core.next_event() == TaggedCommand("A1", commands.Authenticate("PLAIN"))
    assert core.next_event() is PAUSED
    assert core.send(Continuation.challenge()) == b"+ \r\n"
    return core


def test_a_challenge_is_answered_with_a_line() -> None:
    core = authenticating(b"AGEAYg==\r\n")
    assert core.next_event() == AuthenticateResponse(b"\0a\0b")
    assert core.next_event() is PAUSED
    core.send(ok("A1", "done"))
    assert core.state is State.AUTHENTICATED


def test_authentication_may_be_cancelled() -> None:
    core = authenticating(b"*\r\nA2 NOOP\r\n")
    assert core.next_event() == AuthenticateResponse(None)
    core.send(bad("A1", "cancelled"))
    assert core.next_event() == NOOP


@pytest.mark.parametrize("line", [b"no base64!\r\n", b"A {5}\r\n", b"A {2+}\r\nab\r\n", b"x" * 9000 + b"\r\n"])
def test_what_is_no_base64_ends_the_authentication(line: bytes) -> None:
    core = authenticating(line + b"A2 NOOP\r\n")
    event = core.next_event()
    assert isinstance(event, BadCommand) and event.response.tag == "A1"
    assert core.next_event() is PAUSED
    core.send(event.response)
    assert core.next_event() == NOOP


def test_idle_lasts_until_done() -> None:
    core = connection(b"A1 IDLE\r\n", State.SELECTED)
    assert core.next_event() == TaggedCommand("A1", commands.Idle())
    assert not core.is_idling
    core.send(Continuation("idling"))
    assert core.is_idling
    assert core.next_event() is NEED_DATA
    core.receive_data(b"done\r\nA2 NOOP\r\n")
    assert core.next_event() == IdleDone("A1")
    assert not core.is_idling
    assert core.next_event() is PAUSED
    core.send(ok("A1", "done"))
    assert core.next_event() == NOOP


def test_done_sent_with_idle_is_found_after_the_continuation() -> None:
    assert yes_session(b"A1 IDLE\r\nDONE\r\n").written == b"+ idling\r\nA1 OK done\r\n"


def test_another_line_within_idle_ends_it() -> None:
    session = yes_session(b"A1 IDLE\r\nA2 NOOP\r\nA3 NOOP\r\n")
    assert session.written == b"+ idling\r\nA1 BAD Expected DONE\r\nA3 OK done\r\n"


def test_idle_may_be_refused() -> None:
    core = connection(b"A1 IDLE\r\nA2 NOOP\r\n")
    core.next_event()
    core.send(no("A1", "not now"))
    assert core.next_event() == NOOP


# --- literals ---------------------------------------------------------------------------------------------------


def test_the_client_waits_for_leave_to_send_a_literal() -> None:
    core = connection(b"A1 LOGIN {4}\r\n", State.NOT_AUTHENTICATED)
    assert core.next_event() == LiteralAnnounced()
    assert core.next_event() is PAUSED
    assert core.accept_literal() == b"+ OK\r\n"
    core.receive_data(b"user pass\r\n")
    assert core.next_event() == TaggedCommand("A1", commands.Login("user", "pass"))


def test_the_octets_of_a_literal_are_never_a_command() -> None:
    session = yes_session(b"A1 XYZZY {13+}\r\nA9 LOGOUT\r\n\r\n\r\nA2 NOOP\r\n")
    assert session.written == b"A1 BAD Syntax error: unknown command\r\nA2 OK done\r\n"


def test_a_literal_over_the_limit_is_refused_before_it_is_sent() -> None:
    session = yes_session(b"A1 LOGIN {4097}\r\nA2 NOOP\r\n", logged_in=False)
    assert session.written == b"A1 BAD [TOOBIG] Literal is too long\r\nA2 OK done\r\n"


def test_a_literal_over_the_limit_that_comes_unasked_is_dropped() -> None:
    literal = b"x" * 4090 + b"\r\nA9 LOGOUT\r\n"
    session = yes_session(
        b"A1 LOGIN {%d+}\r\n" % len(literal) + literal + b" {1+}\r\nx\r\nA2 NOOP\r\n", logged_in=False
    )
    assert session.written == b"A1 BAD [TOOBIG] Literal is too long\r\nA2 OK done\r\n"


def test_a_flood_that_comes_unasked_ends_the_connection() -> None:
    session = yes_session(b"A1 LOGIN {99999999+}\r\nA2 NOOP\r\n", logged_in=False)
    assert session.written == b"* BYE [TOOBIG] You send too much\r\n"
    assert session.is_closed


def test_a_literal_needs_a_tag_before_it() -> None:
    session = yes_session(b"\t{5}\r\nA2 NOOP\r\n")
    assert session.written == b"* BAD Syntax error: expected a tag\r\nA2 OK done\r\n"


def test_a_line_over_the_limit_is_dropped() -> None:
    session = yes_session(b"A1 NOOP " + b"x" * 3000 + b"\r\nA2 NOOP\r\n")
    assert session.written == b"A1 BAD Line is too long\r\nA2 OK done\r\n"


def test_a_line_of_a_megabyte_ends_the_connection_without_being_kept() -> None:
    session = yes_session()
    for _ in range(1000):
        session.feed(b"x" * 1000)
    assert session.written == b"* BYE [TOOBIG] You send too much\r\n"


def test_after_login_the_limits_are_wider() -> None:
    assert yes_session(b"A1 DELETE {900}\r\n").events == [LiteralAnnounced()]
    limits = Limits.after_login(1000)
    core = Connection(limits, SMALL)
    core.receive_data(b"A1 LOGIN {1001}\r\n")
    assert isinstance(core.next_event(), BadCommand)
    core.send(StatusResponse(None, Condition.PREAUTH, "hello"))
    core.receive_data(b"A1 DELETE {1001}\r\n")
    assert core.next_event() == LiteralAnnounced()


# --- APPEND -----------------------------------------------------------------------------------------------------


def test_a_message_is_handed_out_as_it_comes() -> None:
    core = connection(b"A1 APPEND INBOX {5}\r\n")
    assert core.next_event() == AppendBegin("A1", "INBOX", EMPTY_FIVE)
    assert core.next_event() is PAUSED
    assert core.accept_literal() == b"+ OK\r\n"
    assert core.next_event() is NEED_DATA
    core.receive_data(b"ab")
    assert core.next_event() == AppendData(b"ab")
    core.receive_data(b"cde\r\nA2 NOOP\r\n")
    assert core.next_event() == AppendData(b"cde")
    assert core.next_event() == AppendEnd("A1")
    assert core.next_event() is PAUSED
    core.send(ok("A1", "done"))
    assert core.next_event() == NOOP


def test_a_message_that_comes_unasked_is_taken_all_the_same() -> None:
    session = yes_session(b"A1 APPEND {5+}\r\nTrash (\\Seen) {3+}\r\nabc\r\n")
    begin, data, end = session.events
    assert isinstance(begin, AppendBegin) and begin.mailbox == "Trash"
    assert (data, end) == (AppendData(b"abc"), AppendEnd("A1"))
    assert session.written == b"A1 OK done\r\n"


def test_several_messages_in_one_append() -> None:
    session = yes_session(b"A1 APPEND INBOX {1+}\r\na (\\Seen) ~{2+}\r\n\0\0\r\n")
    begin, one, following, two, end = session.events
    assert isinstance(begin, AppendBegin) and isinstance(following, AppendNext)
    assert (one, two, end) == (AppendData(b"a"), AppendData(b"\0\0"), AppendEnd("A1"))
    assert following.message.is_binary


def test_a_mailbox_may_be_a_literal_longer_than_what_is_kept_of_a_head() -> None:
    name = b"x" * 900
    session = yes_session(b"A1 APPEND {900+}\r\n" + name + b" {1+}\r\na\r\n")
    begin = session.events[0]
    assert isinstance(begin, AppendBegin) and begin.mailbox == name.decode()


def test_memory_does_not_grow_with_the_message() -> None:
    core = Connection(Limits.after_login(10_000_000))
    answer(core, b"L LOGIN user password\r\n", "L", Condition.OK)
    core.receive_data(b"A1 APPEND INBOX {10000000+}\r\n")
    assert isinstance(core.next_event(), AppendBegin)
    core.accept_literal()
    piece = b"x" * 100_000
    for _ in range(100):
        core.receive_data(piece)
        event = core.next_event()
        assert isinstance(event, AppendData) and event.data is piece
    core.receive_data(b"\r\n")
    assert core.next_event() == AppendEnd("A1")


def test_a_message_that_is_refused_is_not_read_as_commands() -> None:
    core = connection(b"A1 APPEND INBOX {9+}\r\nA9 NOOP\r\n\r\nA2 NOOP\r\n")
    assert isinstance(core.next_event(), AppendBegin)
    assert core.send(no("A1", "full", OVERQUOTA)) == b"A1 NO [OVERQUOTA] full\r\n"
    assert core.next_event() == NOOP


def test_a_message_that_waits_and_is_refused_never_comes() -> None:
    core = connection(b"A1 APPEND INBOX {9}\r\n")
    core.next_event()
    core.send(no("A1", "full", OVERQUOTA))
    core.receive_data(b"A2 NOOP\r\n")
    assert core.next_event() == NOOP


def test_a_message_may_be_refused_in_its_middle() -> None:
    core = connection(b"A1 APPEND INBOX {9+}\r\nA9 ")
    core.next_event()
    core.accept_literal()
    assert core.next_event() == AppendData(b"A9 ")
    core.send(no("A1", "disk full"))
    assert core.next_event() is NEED_DATA
    core.receive_data(b"NOOP\r\n (\\Seen) {2+}\r\nab\r\nA2 NOOP\r\n")
    assert core.next_event() == NOOP


def test_the_second_message_may_be_refused() -> None:
    core = connection(b"A1 APPEND INBOX {1+}\r\na {3+}\r\nabc\r\nA2 NOOP\r\n")
    core.next_event()
    core.accept_literal()
    assert core.next_event() == AppendData(b"a")
    assert isinstance(core.next_event(), AppendNext)
    core.send(no("A1", "full"))
    assert core.next_event() == NOOP


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"A1 APPEND INBOX {5001}\r\n", b"A1 NO [TOOBIG] Message is too large\r\n"),
        (b"A1 APPEND INBOX {5001+}\r\n" + b"x" * 5001 + b"\r\n", b"A1 NO [TOOBIG] Message is too large\r\n"),
        (b"A1 APPEND INBOX {1+}\r\na {5001}\r\n", b"A1 NO [TOOBIG] Message is too large\r\n"),
        (b"A1 APPEND INBOX {1+}\r\na x\r\n", b"A1 BAD Syntax error: expected the end of the command\r\n"),
        (b"A1 APPEND INBOX {1+}\r\na{1+}\r\na\r\n", b"A1 BAD Syntax error: expected a blank\r\n"),
        (b"A1 APPEND INBOX (\\Seen {1+}\r\na\r\n", b"A1 BAD Syntax error: expected a list of flags\r\n"),
        (b"A1 APPEND INBOX\r\n", b"A1 BAD Syntax error: expected a message as a literal\r\n"),
        (b"A1 APPEND INBOX {3+}\r\na\0b\r\n", b"A1 BAD Syntax error: NUL in a literal that is not binary\r\n"),
    ],
)
def test_appends_that_fail_leave_the_connection_usable(data: bytes, answer: bytes) -> None:
    assert yes_session(data + b"A2 NOOP\r\n").written == answer + b"A2 OK done\r\n"


def test_nobody_appends_before_login() -> None:
    session = yes_session(b"A1 APPEND INBOX {9+}\r\nA9 NOOP\r\n\r\nA2 NOOP\r\n", logged_in=False)
    assert session.written == b"A1 BAD Log in first\r\nA2 OK done\r\n"


# --- cost -------------------------------------------------------------------------------------------------------


def test_ten_thousand_pipelined_commands_are_answered_one_by_one() -> None:
    session = yes_session(b"A1 NOOP\r\n" * 10_000)
    assert session.written == b"A1 OK done\r\n" * 10_000


def test_more_need_not_be_read_while_enough_waits() -> None:
    core = connection(b"A1 NOOP\r\n")
    core.next_event()
    assert core.wants_data
    core.receive_data(b"x" * MAX_WAITING_BYTES)
    assert not core.wants_data


def test_an_idle_connection_is_small() -> None:
    core: YesSession = yes_session(b"A1 SELECT INBOX\r\nA2 IDLE\r\n")
    parts = (core.connection, core.connection._fragments)
    assert sum(map(sys.getsizeof, parts)) < 500
    assert core.connection._fragments.buffered_bytes == 0
