"""The primitives of IMAP's grammar: a `Cursor` over the bytes of one command. RFC 9051 §9, RFC 3501 §9.

Each method reads one rule, whose ABNF line is its docstring, moves past it and gives its value, or raises
`ImapSyntaxError`. Literals lie in the text as they came (`{5}` CRLF `octets`); `fragments` has made sure that they are
complete. One regular expression per primitive, no loops over octets.

Departures from the RFC: a line may end in a bare LF, 8-bit octets are read as UTF-8 in quoted strings (as every client
writes them), and mailbox names may come in either spelling.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final, NoReturn, TypeVar

from chatmail.imap import utf7
from chatmail.imap.sequence_set import SavedResult, SequenceSet, UidSet, parse_ranges
from chatmail.imap.syntax import ImapSyntaxError
from chatmail.mail.changes import SYSTEM_FLAGS, Flag, ModSeq

T = TypeVar("T")

MAX_MAILBOX_OCTETS: Final = 1000
"""As written; several times what file systems and other servers allow."""

# ATOM-CHAR = <any CHAR except atom-specials>
# atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
# ASTRING-CHAR = ATOM-CHAR / resp-specials; resp-specials = "]". 8-bit octets: names as IMAP4rev2 clients write them.
_ASTRING = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~\x80-\xff]+")
# list-char = ATOM-CHAR / list-wildcards / resp-specials
_LIST_MAILBOX = re.compile(rb"[!#$%&'*+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~\x80-\xff]+")
# quoted = DQUOTE *QUOTED-CHAR DQUOTE; QUOTED-CHAR = <any TEXT-CHAR except quoted-specials> / "\" quoted-specials
_QUOTED = re.compile(rb'"([^"\\\r\n\0]*+(?:\\["\\][^"\\\r\n\0]*+)*+)"')
# literal = "{" number64 ["+"] "}" CRLF *CHAR8
_LITERAL = re.compile(rb"\{([0-9]{1,19})\+?\}\r?\n")
_NUMBER = re.compile(rb"[0-9]{1,20}+")
_NIL = re.compile(rb"(?i:NIL)(?=[ )]|\Z)")
# flag = "\" atom / flag-keyword
_FLAG = re.compile(rb"\\?[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]++")
_FLAGS = re.compile(rb"%b(?: %b)*+" % (_FLAG.pattern, _FLAG.pattern))
_FLAG_LIST = re.compile(rb"\((%b|) ?\)" % _FLAGS.pattern)
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
# date-text = date-day "-" date-month "-" date-year
_MONTH_NAMES: Final = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_DATE = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1')
# date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
_DATE_TIME = re.compile(
    rb'"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_CANONICAL_FLAGS: Final = {flag.lower().encode(): flag for flag in SYSTEM_FLAGS}
_RECENT: Final = b"\\recent"
_MAX_MODSEQ: Final = (1 << 63) - 1


def _flag(raw: bytes) -> Flag | None:
    lower = raw.lower()
    if lower == _RECENT:
        return None
    return _CANONICAL_FLAGS.get(lower) or Flag(raw.decode("ascii"))


def _flags(raw: bytes, limit: int) -> frozenset[Flag]:
    """Flags between blanks."""
    found = raw.split()
    if len(found) > limit:
        raise ImapSyntaxError(f"more than {limit} flags")
    return frozenset([flag for one in found if (flag := _flag(one)) is not None])


class Cursor:
    """The text of one command, without its final line end, and how far it is read."""

    __slots__ = ("position", "text", "utf8_names")

    def __init__(self, text: bytes, position: int = 0, *, utf8_names: bool = False) -> None:
        """Begin at `position`; `utf8_names`: the client enabled IMAP4rev2, so mailbox names are UTF-8."""
        self.text = text
        self.position = position
        self.utf8_names = utf8_names

    # --- moving -----------------------------------------------------------------------------------------------------

    def fail(self, expected: str) -> NoReturn:
        """Raise `ImapSyntaxError`, saying what should stand here."""
        raise ImapSyntaxError(f"expected {expected}")

    def skip(self, token: bytes) -> bool:
        """Move past `token` if it stands here."""
        if self.text.startswith(token, self.position):
            self.position += len(token)
            return True
        return False

    def at(self, token: bytes) -> bool:
        """Whether `token` stands here."""
        return self.text.startswith(token, self.position)

    def expect(self, token: bytes, expected: str) -> None:
        """Move past `token`, which must stand here."""
        if not self.text.startswith(token, self.position):
            self.fail(expected)
        self.position += len(token)

    def space(self) -> None:
        """`SP`."""
        if not self.text.startswith(b" ", self.position):
            self.fail("a blank")
        self.position += 1

    def end(self) -> None:
        """`CRLF`: nothing may follow."""
        if self.position != len(self.text):
            self.fail("the end of the command")

    def _take(self, pattern: re.Pattern[bytes], expected: str) -> bytes:
        match = pattern.match(self.text, self.position)
        if match is None:
            self.fail(expected)
        self.position = match.end()
        return match[0]

    # --- atoms and strings ------------------------------------------------------------------------------------------

    def atom(self) -> bytes:
        """`atom = 1*ATOM-CHAR`."""
        return self._take(_ATOM, "an atom")

    def keyword(self) -> bytes:
        """`atom = 1*ATOM-CHAR`, one that is a word of the protocol, in capitals."""
        return self._take(_ATOM, "a word").upper()

    def quoted(self) -> bytes:
        r"""`quoted = DQUOTE *QUOTED-CHAR DQUOTE`, `\"` and `\\` resolved."""
        match = _QUOTED.match(self.text, self.position)
        if match is None:
            self.fail("a quoted string")
        self.position = match.end()
        value = match[1]
        if b"\\" not in value:
            return value
        # NUL, which no quoted string holds, keeps the place of a resolved backslash.
        return value.replace(b"\\\\", b"\0").replace(b'\\"', b'"').replace(b"\0", b"\\")

    def literal(self) -> bytes:
        """`literal = "{" number64 ["+"] "}" CRLF *CHAR8`; NUL is no CHAR8."""
        value = self._octets()
        if b"\0" in value:
            self.fail("a literal without NUL")
        return value

    def literal8(self) -> bytes:
        """`literal8 = "~{" number64 ["+"] "}" CRLF *OCTET`. RFC 3516 §7."""
        self.expect(b"~", "a binary literal")
        return self._octets()

    def _octets(self) -> bytes:
        match = _LITERAL.match(self.text, self.position)
        if match is None:
            self.fail("a literal")
        start = match.end()
        end = start + int(match[1])
        if end > len(self.text):
            self.fail("the whole literal")
        self.position = end
        return self.text[start:end]

    def string(self) -> bytes:
        """`string = quoted / literal`."""
        return self.quoted() if self.at(b'"') else self.literal()

    def astring(self) -> bytes:
        """`astring = 1*ASTRING-CHAR / string`."""
        match = _ASTRING.match(self.text, self.position)
        if match is None:
            return self.string()
        self.position = match.end()
        return match[0]

    def nil(self) -> bool:
        """`nil = "NIL"`: move past it if it stands here."""
        match = _NIL.match(self.text, self.position)
        if match is None:
            return False
        self.position = match.end()
        return True

    def nstring(self) -> bytes | None:
        """`nstring = string / nil`."""
        return None if self.nil() else self.string()

    def text_of(self, value: bytes) -> str:
        """The UTF-8 text of a string."""
        try:
            return value.decode()
        except UnicodeDecodeError:
            self.fail("text in UTF-8")

    def atom_text(self) -> str:
        """`atom = 1*ATOM-CHAR` as text, in the case it was written."""
        return self.atom().decode("ascii")

    def base64(self) -> bytes:
        """`base64 = *(4base64-char) [base64-terminal]`, still encoded."""
        return self._take(_BASE64, "base64")

    # --- numbers ----------------------------------------------------------------------------------------------------

    def _bounded(self, low: int, high: int, expected: str) -> int:
        number = int(self._take(_NUMBER, expected))
        if not low <= number <= high:
            self.fail(expected)
        return number

    def number(self) -> int:
        """`number = 1*DIGIT`, 32 bits."""
        return self._bounded(0, 0xFFFFFFFF, "a number of 32 bits")

    def nz_number(self) -> int:
        """`nz-number = digit-nz *DIGIT`, 32 bits, not zero."""
        return self._bounded(1, 0xFFFFFFFF, "a number above zero")

    def number64(self) -> int:
        """`number64 = 1*DIGIT`, 63 bits."""
        return self._bounded(0, _MAX_MODSEQ, "a number of 63 bits")

    def modseq(self) -> ModSeq:
        """`mod-sequence-valzer = "0" / mod-sequence-value`. RFC 7162 §7."""
        return ModSeq(self.number64())

    def nz_modseq(self) -> ModSeq:
        """`mod-sequence-value = 1*DIGIT`, not zero. RFC 7162 §7."""
        return ModSeq(self._bounded(1, _MAX_MODSEQ, "a modification sequence above zero"))

    # --- lists ------------------------------------------------------------------------------------------------------

    def items(self, read_item: Callable[[], T], *, limit: int, may_be_empty: bool = False) -> list[T]:
        """`"(" item *(SP item) ")"`, at most `limit` of them; a blank before `)` is passed over."""
        self.expect(b"(", "an opening parenthesis")
        found: list[T] = []
        if may_be_empty and self.skip(b")"):
            return found
        while True:
            if len(found) == limit:
                raise ImapSyntaxError(f"more than {limit} items in a list")
            found.append(read_item())
            if self.skip(b")") or self.skip(b" )"):
                return found
            self.space()

    # --- mailboxes --------------------------------------------------------------------------------------------------

    def mailbox(self) -> str:
        """`mailbox = "INBOX" / astring`: decoded; INBOX in capitals, also above its children (RFC 9051 §5.1)."""
        name = self._name(self.astring())
        if not name:
            self.fail("a mailbox name")
        return name

    def mailbox_or_server(self) -> str:
        """`mailbox = "INBOX" / astring`, or the empty string for the server as a whole. RFC 5464 §4.2."""
        return self._name(self.astring())

    def list_mailbox(self) -> str:
        """`list-mailbox = 1*list-char / string`: a name with wildcards, decoded."""
        match = _LIST_MAILBOX.match(self.text, self.position)
        if match is None:
            return self._name(self.string())
        self.position = match.end()
        return self._name(match[0])

    def _name(self, raw: bytes) -> str:
        if len(raw) > MAX_MAILBOX_OCTETS:
            self.fail("a shorter mailbox name")
        if raw[:5].upper() == b"INBOX" and raw[5:6] in (b"", b"/"):
            raw = b"INBOX" + raw[5:]
        name = self.text_of(raw) if self.utf8_names or not raw.isascii() else utf7.decode(raw)
        if _CONTROL.search(name):
            self.fail("a mailbox name without control characters")
        return name

    # --- flags ------------------------------------------------------------------------------------------------------

    def flag(self) -> Flag | None:
        r"""`flag = "\" atom / flag-keyword`; None for `\Recent`, which no client may set (RFC 3501 §2.3.2)."""
        return _flag(self._take(_FLAG, "a flag"))

    def flag_list(self, *, limit: int) -> frozenset[Flag]:
        """`flag-list = "(" [flag *(SP flag)] ")"`, a blank before `)` passed over."""
        match = _FLAG_LIST.match(self.text, self.position)
        if match is None:
            self.fail("a list of flags")
        self.position = match.end()
        return _flags(match[1], limit)

    def bare_flags(self, *, limit: int) -> frozenset[Flag]:
        """`flag *(SP flag)`: the flags of a STORE written without parentheses."""
        return _flags(self._take(_FLAGS, "flags"), limit)

    # --- dates ------------------------------------------------------------------------------------------------------

    def date(self) -> date:
        """`date = date-text / DQUOTE date-text DQUOTE`."""
        match = _DATE.match(self.text, self.position)
        if match is None:
            self.fail("a date")
        self.position = match.end()
        _quote, day, month, year = match.groups()
        try:
            return date(int(year), _MONTHS[month.lower()], int(day))
        except (KeyError, ValueError):
            self.fail("a day of the calendar")

    def date_time(self) -> datetime:
        """`date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE`, aware."""
        match = _DATE_TIME.match(self.text, self.position)
        if match is None:
            self.fail("a date with time")
        self.position = match.end()
        day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
        offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
        try:
            zone = timezone(-offset if sign == b"-" else offset)
            # A leap second is the last second there is here.
            moment = datetime(
                int(year), _MONTHS[month.lower()], int(day), int(hour), int(minute), min(int(second), 59), tzinfo=zone
            )
            moment.astimezone(UTC)
        except (KeyError, ValueError, OverflowError):
            self.fail("a moment of the calendar")
        return moment

    # --- sets of messages -------------------------------------------------------------------------------------------

    def sequence_set(self) -> SequenceSet | SavedResult:
        """`sequence-set = (seq-number / seq-range) *("," sequence-set) / "$"`."""
        if self.skip(b"$"):
            return SavedResult()
        ranges, self.position = parse_ranges(self.text, self.position)
        return SequenceSet(ranges)

    def uid_set(self) -> UidSet | SavedResult:
        """`sequence-set = (uniqueid / uniqueid ":" uniqueid) *("," sequence-set) / "$"`, of UIDs."""
        if self.skip(b"$"):
            return SavedResult()
        ranges, self.position = parse_ranges(self.text, self.position)
        return UidSet(ranges)

    def known_uids(self) -> UidSet:
        """`known-uids = sequence-set` without `$`. RFC 7162 §7 (the RFC wants no `*` either)."""
        ranges, self.position = parse_ranges(self.text, self.position)
        return UidSet(ranges)

    def known_sequence(self) -> SequenceSet:
        """`known-sequence-set = sequence-set` without `$`. RFC 7162 §7."""
        ranges, self.position = parse_ranges(self.text, self.position)
        return SequenceSet(ranges)
