"""What the server says, frozen; `encode` gives the bytes. RFC 9051 §7, RFC 3501 §7, and the extensions in `commands`.

Each response is one line (with literals in it). `utf8_names` says whether the client enabled IMAP4rev2 or UTF8=ACCEPT;
`Connection.send` knows and passes it. FETCH is in `fetch_response`.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from chatmail.imap.commands import StatusItem
from chatmail.imap.encoding import flag_list, literal, mailbox_name, number_list, quoted, string
from chatmail.imap.response_codes import ResponseCode
from chatmail.imap.sequence_set import Range, UidSet, encode_ranges
from chatmail.mail.changes import Flag, ModSeq, SeqNum

_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]+")


class Response(Protocol):
    """Anything the server may say."""

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """The bytes to write, CRLF included."""


# --- status -----------------------------------------------------------------------------------------------------


class Condition(Enum):
    """`resp-cond-state`, `resp-cond-auth` and `resp-cond-bye`. RFC 9051 §7.1."""

    OK = b"OK"
    NO = b"NO"
    BAD = b"BAD"
    BYE = b"BYE"
    PREAUTH = b"PREAUTH"


@dataclass(frozen=True, slots=True)
class StatusResponse:
    """`tag OK [code] text`, untagged where `tag` is None."""

    tag: str | None
    condition: Condition
    text: str
    code: ResponseCode | None = None

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`response-tagged` or `"*" SP resp-cond-state CRLF`."""
        tag = b"*" if self.tag is None else self.tag.encode("ascii")
        text = _CONTROL.sub(b" ", self.text.encode("ascii", "replace")) or b"."
        if self.code is not None:
            text = self.code.encode() + b" " + text
        return b"%b %b %b\r\n" % (tag, self.condition.value, text)


def ok(tag: str | None, text: str, code: ResponseCode | None = None) -> StatusResponse:
    """OK: done, or untagged information."""
    return StatusResponse(tag, Condition.OK, text, code)


def no(tag: str | None, text: str, code: ResponseCode | None = None) -> StatusResponse:
    """NO: understood and not done."""
    return StatusResponse(tag, Condition.NO, text, code)


def bad(tag: str | None, text: str, code: ResponseCode | None = None) -> StatusResponse:
    """BAD: not understood, or not allowed now."""
    return StatusResponse(tag, Condition.BAD, text, code)


def bye(text: str, code: ResponseCode | None = None) -> StatusResponse:
    """BYE: the connection ends."""
    return StatusResponse(None, Condition.BYE, text, code)


@dataclass(frozen=True, slots=True)
class Continuation:
    """`continue-req = "+" SP (resp-text / base64) CRLF`. RFC 9051 §7.6."""

    text: str

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`+ text`."""
        return b"+ %b\r\n" % self.text.encode("ascii")

    @classmethod
    def challenge(cls, data: bytes = b"") -> "Continuation":
        """A challenge of AUTHENTICATE, in base64."""
        return cls(b64encode(data).decode("ascii"))


# --- server and account -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CapabilityList:
    """`* CAPABILITY …`. RFC 9051 §7.2.2."""

    names: tuple[str, ...]

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`capability-data`."""
        return b"* CAPABILITY %b\r\n" % " ".join(self.names).encode("ascii")


@dataclass(frozen=True, slots=True)
class EnabledList:
    """`* ENABLED …`, of what ENABLE switched on. RFC 9051 §7.2.1."""

    names: tuple[str, ...]

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`enable-data = "ENABLED" *(SP capability)`."""
        return " ".join(("* ENABLED", *self.names)).encode("ascii") + b"\r\n"


@dataclass(frozen=True, slots=True)
class IdFields:
    """`* ID (…)`, or NIL without fields. RFC 2971 §3.2."""

    fields: tuple[tuple[str, str], ...]

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`id-response = "ID" SP id-params-list`."""
        if not self.fields:
            return b"* ID NIL\r\n"
        pairs = (string(name.encode()) + b" " + string(value.encode()) for name, value in self.fields)
        return b"* ID (%b)\r\n" % b" ".join(pairs)


NamespaceList = tuple[tuple[str, str], ...]
"""(prefix, delimiter) pairs."""


@dataclass(frozen=True, slots=True)
class Namespaces:
    """`* NAMESPACE personal other shared`. RFC 9051 §7.3.2."""

    personal: NamespaceList
    other: NamespaceList = ()
    shared: NamespaceList = ()

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`namespace-response`."""
        kinds = (_namespaces(kind, utf8_names) for kind in (self.personal, self.other, self.shared))
        return b"* NAMESPACE %b\r\n" % b" ".join(kinds)


def _namespaces(pairs: NamespaceList, utf8_names: bool) -> bytes:
    """`namespace = nil / "(" 1*namespace-descr ")"`."""
    if not pairs:
        return b"NIL"
    inner = (b"(%b %b)" % (mailbox_name(p, utf8_names=utf8_names), string(d.encode())) for p, d in pairs)
    return b"(%b)" % b"".join(inner)


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """`* QUOTA root (resource usage limit …)`; STORAGE counts KiB. RFC 9208 §4.2.1."""

    root: str
    resources: tuple[tuple[str, int, int], ...]

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`quota-response`."""
        triplets = (f"{name} {usage} {limit}" for name, usage, limit in self.resources)
        return b"* QUOTA %b (%b)\r\n" % (string(self.root.encode()), " ".join(triplets).encode("ascii"))


@dataclass(frozen=True, slots=True)
class QuotaRoots:
    """`* QUOTAROOT mailbox root …`. RFC 9208 §4.2.2."""

    mailbox: str
    roots: tuple[str, ...]

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`quotaroot-response`."""
        names = [mailbox_name(self.mailbox, utf8_names=utf8_names), *(string(root.encode()) for root in self.roots)]
        return b"* QUOTAROOT %b\r\n" % b" ".join(names)


@dataclass(frozen=True, slots=True)
class MetadataValues:
    """`* METADATA mailbox (entry value …)`; values are literals, None is NIL. RFC 5464 §4.4.1."""

    mailbox: str
    entries: tuple[tuple[str, bytes | None], ...]

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`metadata-resp`; a value with NUL is a `literal8`."""
        pairs = (name.encode("ascii") + b" " + _metadata_value(value) for name, value in self.entries)
        return b"* METADATA %b (%b)\r\n" % (mailbox_name(self.mailbox, utf8_names=utf8_names), b" ".join(pairs))


def _metadata_value(value: bytes | None) -> bytes:
    """`value = nstring / literal8`."""
    if value is None:
        return b"NIL"
    return (b"~" if b"\0" in value else b"") + literal(value)


@dataclass(frozen=True, slots=True)
class MetadataChanged:
    """`* METADATA mailbox entry …`: somebody changed these entries. RFC 5464 §4.4.2."""

    mailbox: str
    entries: tuple[str, ...]

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`entry-list = entry *(SP entry)`."""
        return b"* METADATA %b %b\r\n" % (
            mailbox_name(self.mailbox, utf8_names=utf8_names),
            " ".join(self.entries).encode("ascii"),
        )


# --- mailboxes --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListEntry:
    r"""`* LIST (\attribute …) "/" name`, or LSUB. RFC 9051 §7.3.1; `child_info` and `old_name`: §6.3.9.6, §6.3.9.7."""

    name: str
    attributes: tuple[str, ...] = ()
    delimiter: str | None = "/"
    child_info: tuple[str, ...] = ()
    old_name: str | None = None
    is_lsub: bool = False

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`mailbox-list`."""
        return b"* %b (%b) %b %b%b\r\n" % (
            b"LSUB" if self.is_lsub else b"LIST",
            " ".join(self.attributes).encode("ascii"),
            b"NIL" if self.delimiter is None else quoted(self.delimiter.encode("ascii")),
            mailbox_name(self.name, utf8_names=utf8_names),
            self._extended_items(utf8_names),
        )

    def _extended_items(self, utf8_names: bool) -> bytes:
        """`mbox-list-extended = "(" [mbox-list-extended-item *(SP mbox-list-extended-item)] ")"`."""
        items = []
        if self.child_info:
            items.append(b'"CHILDINFO" (%b)' % b" ".join(quoted(info.encode("ascii")) for info in self.child_info))
        if self.old_name is not None:
            items.append(b'"OLDNAME" (%b)' % mailbox_name(self.old_name, utf8_names=utf8_names))
        return b" (%b)" % b" ".join(items) if items else b""


@dataclass(frozen=True, slots=True)
class StatusEntry:
    """`* STATUS mailbox (item value …)`; MAILBOXID has a text, APPENDLIMIT may have None. RFC 9051 §7.3.4."""

    mailbox: str
    items: tuple[tuple[StatusItem, int | str | None], ...]

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`"STATUS" SP mailbox SP "(" [status-att-list] ")"`."""
        values = (item.value + b" " + _status_value(value) for item, value in self.items)
        return b"* STATUS %b (%b)\r\n" % (mailbox_name(self.mailbox, utf8_names=utf8_names), b" ".join(values))


def _status_value(value: int | str | None) -> bytes:
    if value is None:
        return b"NIL"
    return b"%d" % value if isinstance(value, int) else b"(%b)" % value.encode("ascii")


@dataclass(frozen=True, slots=True)
class FlagsDefined:
    """`* FLAGS (…)`: the flags in use in the mailbox. RFC 9051 §7.3.5."""

    flags: tuple[Flag, ...]

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`"FLAGS" SP flag-list`."""
        return b"* FLAGS %b\r\n" % flag_list(self.flags)


@dataclass(frozen=True, slots=True)
class Exists:
    """`* n EXISTS`. RFC 9051 §7.4.1."""

    count: int

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`number SP "EXISTS"`."""
        return b"* %d EXISTS\r\n" % self.count


@dataclass(frozen=True, slots=True)
class RecentCount:
    """`* n RECENT`. RFC 3501 §7.3.2."""

    count: int

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`number SP "RECENT"`."""
        return b"* %d RECENT\r\n" % self.count


@dataclass(frozen=True, slots=True)
class SearchNumbers:
    """`* SEARCH n …`, with the highest modseq where MODSEQ was asked for. RFC 3501 §7.2.5, RFC 7162 §3.1.5."""

    numbers: Sequence[int]
    modseq: ModSeq | None = None

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`"SEARCH" [1*(SP nz-number) SP search-sort-mod-seq]`."""
        numbers = b" " + number_list(self.numbers) if self.numbers else b""
        modseq = b" (MODSEQ %d)" % self.modseq if self.modseq is not None and self.numbers else b""
        return b"* SEARCH%b%b\r\n" % (numbers, modseq)


@dataclass(frozen=True, slots=True)
class EsearchResult:
    """`* ESEARCH (TAG "…") [UID] …`; what was not asked for, or has no value, is None. RFC 9051 §7.3.4, RFC 4731."""

    tag: str
    by_uid: bool
    minimum: int | None = None
    maximum: int | None = None
    all_ranges: Sequence[Range] | None = None
    count: int | None = None
    modseq: ModSeq | None = None

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)`."""
        parts = [b"* ESEARCH (TAG %b)" % quoted(self.tag.encode("ascii"))]
        if self.by_uid:
            parts.append(b"UID")
        if self.minimum is not None:
            parts.append(b"MIN %d" % self.minimum)
        if self.maximum is not None:
            parts.append(b"MAX %d" % self.maximum)
        if self.all_ranges:
            parts.append(b"ALL " + encode_ranges(self.all_ranges))
        if self.count is not None:
            parts.append(b"COUNT %d" % self.count)
        if self.modseq is not None:
            parts.append(b"MODSEQ %d" % self.modseq)
        return b" ".join(parts) + b"\r\n"


# --- messages ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expunged:
    """`* n EXPUNGE`. RFC 9051 §7.5.1."""

    seq_num: SeqNum

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`nz-number SP "EXPUNGE"`."""
        return b"* %d EXPUNGE\r\n" % self.seq_num


@dataclass(frozen=True, slots=True)
class Vanished:
    """`* VANISHED [(EARLIER)] uids`, which takes the place of EXPUNGE after ENABLE QRESYNC. RFC 7162 §3.2.10."""

    uids: UidSet
    earlier: bool = False

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids`."""
        return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " if self.earlier else b"", self.uids.encode())
