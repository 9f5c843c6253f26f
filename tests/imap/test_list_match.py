import pytest

from chatmail.imap.commands import List, ListReturn, ListSelect, Lsub
from chatmail.imap.list_match import ListedMailbox, is_too_complex, list_entries, lsub_entries

MAILBOXES = [
    ListedMailbox("INBOX", True, ""),
    ListedMailbox("Sent", True, "\\Sent"),
    ListedMailbox("a/b", False, ""),
    ListedMailbox("a/b/c", True, ""),
]


def names(*patterns: str, reference: str = "") -> list[str]:
    return [entry.name for entry in list_entries(List(reference, patterns), MAILBOXES)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", ["INBOX", "Sent", "a", "a/b", "a/b/c"]),
        ("%", ["INBOX", "Sent", "a"]),
        ("inbox", ["INBOX"]),
        ("a/%", ["a/b"]),
        ("a*c", ["a/b/c"]),
        ("%/%", ["a/b"]),
        ("*%", ["INBOX", "Sent", "a", "a/b", "a/b/c"]),
        ("Sen", []),
        ("S.nt", []),
        ("", [""]),
    ],
)
def test_patterns(pattern: str, expected: list[str]) -> None:
    assert names(pattern) == expected


def test_a_reference_stands_before_the_pattern() -> None:
    assert names("%", reference="a/") == ["a/b"]


def test_an_implied_parent_cannot_be_selected() -> None:
    entries = {entry.name: entry.attributes for entry in list_entries(List("", ("*",)), MAILBOXES)}
    assert entries["a"] == ("\\HasChildren", "\\Noselect")
    assert entries["Sent"] == ("\\HasNoChildren", "\\Sent")


def test_special_use_selects() -> None:
    command = List("", ("*",), select=frozenset({ListSelect.SPECIAL_USE}), is_extended=True)
    assert [entry.name for entry in list_entries(command, MAILBOXES)] == ["Sent"]


def test_recursive_match_names_parents_of_subscribed_mailboxes() -> None:
    select = frozenset({ListSelect.SUBSCRIBED, ListSelect.RECURSIVEMATCH})
    entries = list_entries(List("", ("%",), select=select, is_extended=True), MAILBOXES)
    assert [(entry.name, entry.child_info) for entry in entries] == [
        ("INBOX", ()),
        ("Sent", ()),
        ("a", ("SUBSCRIBED",)),
    ]
    assert entries[2].attributes == ("\\HasChildren", "\\NonExistent")


def test_subscribed_is_told_on_request() -> None:
    command = List("", ("Sent",), returns=frozenset({ListReturn.SUBSCRIBED}), is_extended=True)
    assert list_entries(command, MAILBOXES)[0].attributes == ("\\HasNoChildren", "\\Sent", "\\Subscribed")


def test_lsub_names_what_is_subscribed_and_with_percent_its_parents() -> None:
    assert [entry.name for entry in lsub_entries(Lsub("", "*"), MAILBOXES)] == ["INBOX", "Sent", "a/b/c"]
    assert [entry.attributes for entry in lsub_entries(Lsub("", "%"), MAILBOXES)] == [(), (), ("\\Noselect",)]


def test_no_pattern_is_slow() -> None:
    hostile = "*a" * 9
    long_names = [ListedMailbox("a" * 254 + str(number), False, "") for number in range(9)]
    assert len(list_entries(List("", (hostile + "*",)), long_names)) == 9
    assert is_too_complex(List("", (hostile * 2,)))
