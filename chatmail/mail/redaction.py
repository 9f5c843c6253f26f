"""Takes out of a text what names a person or a machine: mail addresses, IP addresses, Message-IDs. Pure.

For texts of other servers that are shown to operators. It would rather take a word too many than one too few.
"""

import re
from typing import Final

MAX_CHARACTERS: Final = 300
HIDDEN: Final = "…"

_WORD = re.compile(r"""[^\s<>()",;\[\]]+""")
# Also takes a time such as 12:34:56, which nobody will miss.
_IPV6 = re.compile(r"(?:[0-9a-f]{0,4}:){2}", re.IGNORECASE)
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3,}")


def without_names(text: str) -> str:
    """One printable line of `text`, shortened, with what could name somebody replaced by an ellipsis."""
    line = "".join(character if character.isprintable() else " " for character in text[: MAX_CHARACTERS + 1])
    if len(text) > MAX_CHARACTERS:
        # The last word may be half of an address by now.
        line = line.rpartition(" ")[0][: MAX_CHARACTERS - 1] + HIDDEN
    return _WORD.sub(lambda word: _hidden(word[0]), line)


def _hidden(word: str) -> str:
    if "@" in word or _IPV6.search(word):
        return HIDDEN
    return _IPV4.sub(HIDDEN, word)
