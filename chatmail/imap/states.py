"""The states of a connection and what moves between them, as tables. RFC 9051 §3, §6.

`ALLOWED` says which command may stand where; `TRANSITIONS` what its tagged response does. `connection` obeys both.
"""

from enum import Enum, auto
from typing import Final

from chatmail.imap import commands
from chatmail.imap.commands import Command
from chatmail.imap.responses import Condition


class State(Enum):
    """RFC 9051 §3."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()
    LOGOUT = auto()


class Append:
    """Stands for APPEND in the tables: it has no command value, as its messages are streamed."""


CommandType = type[Command] | type[Append]

# Tuples: `in` compares identities there, while a set would hash enumeration members in Python.
_ANY: Final = (State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED)
_LOGGED_IN: Final = (State.AUTHENTICATED, State.SELECTED)
_NOT_LOGGED_IN: Final = (State.NOT_AUTHENTICATED,)
_WITH_MAILBOX: Final = (State.SELECTED,)

ALLOWED: Final[dict[CommandType, tuple[State, ...]]] = {
    commands.Capability: _ANY,
    commands.Noop: _ANY,
    commands.Logout: _ANY,
    commands.Id: _ANY,
    commands.StartTls: _NOT_LOGGED_IN,
    commands.Authenticate: _NOT_LOGGED_IN,
    commands.Login: _NOT_LOGGED_IN,
    commands.Enable: _LOGGED_IN,
    commands.Select: _LOGGED_IN,
    commands.Create: _LOGGED_IN,
    commands.Delete: _LOGGED_IN,
    commands.Rename: _LOGGED_IN,
    commands.Subscribe: _LOGGED_IN,
    commands.Unsubscribe: _LOGGED_IN,
    commands.List: _LOGGED_IN,
    commands.Lsub: _LOGGED_IN,
    commands.Namespace: _LOGGED_IN,
    commands.Status: _LOGGED_IN,
    Append: _LOGGED_IN,
    commands.Idle: _LOGGED_IN,
    commands.GetQuota: _LOGGED_IN,
    commands.GetQuotaRoot: _LOGGED_IN,
    commands.SetQuota: _LOGGED_IN,
    commands.GetMetadata: _LOGGED_IN,
    commands.SetMetadata: _LOGGED_IN,
    commands.Compress: _LOGGED_IN,
    commands.Check: _WITH_MAILBOX,
    commands.Close: _WITH_MAILBOX,
    commands.Unselect: _WITH_MAILBOX,
    commands.Expunge: _WITH_MAILBOX,
    commands.Search: _WITH_MAILBOX,
    commands.Fetch: _WITH_MAILBOX,
    commands.Store: _WITH_MAILBOX,
    commands.Copy: _WITH_MAILBOX,
}
"""Which command may stand in which state. RFC 9051 §6.1 to §6.4."""

TRANSITIONS: Final[dict[tuple[CommandType, Condition], State]] = {
    (commands.Login, Condition.OK): State.AUTHENTICATED,
    (commands.Authenticate, Condition.OK): State.AUTHENTICATED,
    (commands.Select, Condition.OK): State.SELECTED,
    (commands.Select, Condition.NO): State.AUTHENTICATED,
    (commands.Close, Condition.OK): State.AUTHENTICATED,
    (commands.Unselect, Condition.OK): State.AUTHENTICATED,
    (commands.Logout, Condition.OK): State.LOGOUT,
}
"""What a tagged response does to the state; a SELECT that fails leaves no mailbox selected (RFC 9051 §6.3.2)."""


def wrong_state(state: State) -> str:
    """Why a command may not stand in `state`."""
    if state is State.NOT_AUTHENTICATED:
        return "Log in first"
    return "Select a mailbox first" if state is State.AUTHENTICATED else "Not allowed now"
