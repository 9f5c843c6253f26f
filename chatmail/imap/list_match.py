"""Which mailboxes LIST and LSUB name, and with which attributes. RFC 9051 §6.3.9, RFC 3501 §6.3.9, RFC 6154.

Pure: the mailboxes of an account go in, `ListEntry`s come out. A parent that is not a mailbox itself (`a` of `a/b`) is
named with `\\NonExistent` (extended) or `\\Noselect` (of old), so that a client can walk the tree.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from chatmail.imap.commands import List, ListReturn, ListSelect, Lsub
from chatmail.imap.responses import ListEntry

DELIMITER: Final = "/"
MAX_WILDCARDS: Final = 10
"""In all patterns of one command; clients use one or two."""
_WILDCARDS: Final = re.compile(r"[*%]+")
_INBOX: Final = re.compile(r"inbox(?=[/*%]|$)", re.IGNORECASE)
_ANY: Final = ("*", "%")


@dataclass(frozen=True, slots=True)
class ListedMailbox:
    """What LIST has to know of a mailbox, or of a name that is only subscribed to."""

    name: str
    is_subscribed: bool
    special_use: str
    exists: bool = True


@dataclass(slots=True)
class _Node:
    """A name in the tree; `mailbox` is None for a parent that is no mailbox, and for a name only subscribed to."""

    name: str
    mailbox: ListedMailbox | None = None
    is_subscribed: bool = False
    has_children: bool = False
    has_subscribed_child: bool = False


def is_too_complex(command: List | Lsub) -> bool:
    """Whether there are more wildcards than one command may cost."""
    patterns = command.patterns if isinstance(command, List) else (command.pattern,)
    return len(patterns) > MAX_WILDCARDS or sum(len(_WILDCARDS.findall(each)) for each in patterns) > MAX_WILDCARDS


def list_entries(command: List, mailboxes: Sequence[ListedMailbox]) -> list[ListEntry]:
    """The answer to LIST, INBOX first."""
    if command.patterns == ("",) and not command.is_extended:
        return [ListEntry("", ("\\Noselect",))]
    matches = _matcher(command.reference, command.patterns)
    nodes = [node for node in _tree(mailboxes) if matches(node.name)]
    return [entry for node in nodes if (entry := _entry(node, command)) is not None]


def lsub_entries(command: Lsub, mailboxes: Sequence[ListedMailbox]) -> list[ListEntry]:
    """The answer to LSUB: what is subscribed, and with `%` the parents of that."""
    matches = _matcher(command.reference, (command.pattern,))
    subscribed = [mailbox for mailbox in mailboxes if mailbox.is_subscribed]
    nodes = [node for node in _tree(subscribed) if matches(node.name)]
    return [
        ListEntry(node.name, () if node.is_subscribed else ("\\Noselect",), is_lsub=True)
        for node in nodes
        if node.is_subscribed or "%" in command.pattern
    ]


def _tree(mailboxes: Sequence[ListedMailbox]) -> list[_Node]:
    """All names with their parents, INBOX first, then in order."""
    nodes: dict[str, _Node] = {}
    for mailbox in mailboxes:
        node = nodes.setdefault(mailbox.name, _Node(mailbox.name))
        node.mailbox, node.is_subscribed = mailbox if mailbox.exists else None, mailbox.is_subscribed
        parent = mailbox.name
        while DELIMITER in parent:
            parent = parent.rpartition(DELIMITER)[0]
            node = nodes.setdefault(parent, _Node(parent))
            node.has_children |= mailbox.exists
            node.has_subscribed_child |= mailbox.is_subscribed
    return sorted(nodes.values(), key=lambda node: (node.name != "INBOX", node.name))


def _matcher(reference: str, patterns: Sequence[str]) -> Callable[[str], bool]:
    whole = [_canonical(reference + pattern) for pattern in patterns]

    def matches(name: str) -> bool:
        return any(_matches(pattern, name) for pattern in whole)

    return matches


def _canonical(pattern: str) -> str:
    """A leading INBOX in capitals, and each run of wildcards as its strongest one."""
    if _INBOX.match(pattern):
        pattern = "INBOX" + pattern[5:]
    return _WILDCARDS.sub(lambda run: "*" if "*" in run[0] else "%", pattern)


def _matches(pattern: str, name: str) -> bool:
    """`*` matches anything, `%` anything but the delimiter.

    All places in the pattern that fit so far go along the name together: no pattern makes this slow, as one with
    backtracking would be.
    """
    places = {0, 1} if pattern[:1] in _ANY else {0}
    for letter in name:
        following: set[int] = set()
        for place in places:
            wanted = pattern[place : place + 1]
            if wanted == "*" or (wanted == "%" and letter != DELIMITER):
                following.add(place)
            elif wanted == letter:
                following.add(place + 1)
        places = following | {place + 1 for place in following if pattern[place : place + 1] in _ANY}
        if not places:
            return False
    return len(pattern) in places


def _entry(node: _Node, command: List) -> ListEntry | None:
    mailbox, select = node.mailbox, command.select
    if mailbox is None and not node.has_children and ListSelect.SUBSCRIBED not in select:
        return None
    child_info: tuple[str, ...] = ()
    if ListSelect.RECURSIVEMATCH in select and node.has_subscribed_child:
        child_info = ("SUBSCRIBED",)
    if ListSelect.SUBSCRIBED in select and not node.is_subscribed and not child_info:
        return None
    if ListSelect.SPECIAL_USE in select and (mailbox is None or not mailbox.special_use):
        return None
    return ListEntry(node.name, _attributes(node, command), child_info=child_info)


def _attributes(node: _Node, command: List) -> tuple[str, ...]:
    attributes = ["\\HasChildren" if node.has_children else "\\HasNoChildren"]
    if node.mailbox is None:
        attributes.append("\\NonExistent" if command.is_extended else "\\Noselect")
    elif node.mailbox.special_use:
        attributes.append(node.mailbox.special_use)
    if node.is_subscribed and (ListSelect.SUBSCRIBED in command.select or ListReturn.SUBSCRIBED in command.returns):
        attributes.append("\\Subscribed")
    return tuple(attributes)
