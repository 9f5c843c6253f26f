from typing import get_args

from chatmail.imap.commands import Command
from chatmail.imap.states import ALLOWED, TRANSITIONS, Append, State, wrong_state


def test_every_command_has_its_place() -> None:
    assert set(ALLOWED) == {*get_args(Command), Append}


def test_no_command_may_follow_logout() -> None:
    assert all(State.LOGOUT not in states for states in ALLOWED.values())


def test_states_are_moved_only_by_commands_that_may_stand() -> None:
    assert {command for command, _condition in TRANSITIONS} <= set(ALLOWED)


def test_every_refusal_says_what_is_missing() -> None:
    assert {wrong_state(state) for state in State} == {"Log in first", "Select a mailbox first", "Not allowed now"}
