"""Takes out of a text what names a person or a machine: mail addresses, IP addresses, Message-IDs. Pure.

For texts of other servers that are shown to operators. It would rather take a word too many than one too few.
"""

import re
from typing import Final

MAX_CHARACTERS: Final = 300
HIDDEN: Final = "…"

# Whatever hangs together around an "@" is an address or a Message-ID, in brackets or not.
_WITH_AT = re.compile(r"""[^\s<>()",;]*@[^\s<>()",;]*""")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)")
# Two colons at least, hexadecimal between: also takes a time such as 12:34:56, which nobody will miss.
_IPV6 = re.compile(r"(?<![\w:])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}(?![\w:])", re.IGNORECASE)


def without_names(text: str) -> str:
    """One printable line of `text`, shortened, with what could name somebody replaced by an ellipsis."""
    line = "".join(character if character.isprintable() else " " for character in text)
    for pattern in (_WITH_AT, _IPV4, _IPV6):
        line = pattern.sub(HIDDEN, line)
    return line if len(line) <= MAX_CHARACTERS else line[: MAX_CHARACTERS - 1] + HIDDEN
