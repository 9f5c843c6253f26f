"""Response codes: what stands in brackets before the text of a status response. RFC 9051 §7.1, RFC 5530.

Extensions: UIDPLUS (RFC 4315), CONDSTORE and QRESYNC (RFC 7162), METADATA (RFC 5464), QUOTA (RFC 9208), APPENDLIMIT
(RFC 7889), OBJECTID (RFC 8474), COMPRESS (RFC 4978).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from chatmail.imap.encoding import flag_list
from chatmail.imap.sequence_set import SequenceSet, UidSet
from chatmail.mail.changes import Flag


@dataclass(frozen=True, slots=True)
class ResponseCode:
    """`resp-text-code`: its name and, encoded, what follows it."""

    name: bytes
    argument: bytes = b""

    def encode(self) -> bytes:
        """With its brackets."""
        return b"[%b %b]" % (self.name, self.argument) if self.argument else b"[%b]" % self.name


ALERT: Final = ResponseCode(b"ALERT")
ALREADYEXISTS: Final = ResponseCode(b"ALREADYEXISTS")
AUTHENTICATIONFAILED: Final = ResponseCode(b"AUTHENTICATIONFAILED")
AUTHORIZATIONFAILED: Final = ResponseCode(b"AUTHORIZATIONFAILED")
BAD_CHARSET: Final = ResponseCode(b"BADCHARSET", b"(US-ASCII UTF-8)")
CANNOT: Final = ResponseCode(b"CANNOT")
CLIENTBUG: Final = ResponseCode(b"CLIENTBUG")
CLOSED: Final = ResponseCode(b"CLOSED")
COMPRESSIONACTIVE: Final = ResponseCode(b"COMPRESSIONACTIVE")
CONTACTADMIN: Final = ResponseCode(b"CONTACTADMIN")
EXPUNGEISSUED: Final = ResponseCode(b"EXPUNGEISSUED")
HASCHILDREN: Final = ResponseCode(b"HASCHILDREN")
INUSE: Final = ResponseCode(b"INUSE")
LIMIT: Final = ResponseCode(b"LIMIT")
METADATA_NOPRIVATE: Final = ResponseCode(b"METADATA NOPRIVATE")
METADATA_TOOMANY: Final = ResponseCode(b"METADATA TOOMANY")
NOMODSEQ: Final = ResponseCode(b"NOMODSEQ")
NONEXISTENT: Final = ResponseCode(b"NONEXISTENT")
NOPERM: Final = ResponseCode(b"NOPERM")
NOTSAVED: Final = ResponseCode(b"NOTSAVED")
OVERQUOTA: Final = ResponseCode(b"OVERQUOTA")
PARSE: Final = ResponseCode(b"PARSE")
PRIVACYREQUIRED: Final = ResponseCode(b"PRIVACYREQUIRED")
READ_ONLY: Final = ResponseCode(b"READ-ONLY")
READ_WRITE: Final = ResponseCode(b"READ-WRITE")
SERVERBUG: Final = ResponseCode(b"SERVERBUG")
TOOBIG: Final = ResponseCode(b"TOOBIG")
TRYCREATE: Final = ResponseCode(b"TRYCREATE")
UIDNOTSTICKY: Final = ResponseCode(b"UIDNOTSTICKY")
UNAVAILABLE: Final = ResponseCode(b"UNAVAILABLE")
UNKNOWN_CTE: Final = ResponseCode(b"UNKNOWN-CTE")
USEATTR: Final = ResponseCode(b"USEATTR")


def capability(names: Iterable[str]) -> ResponseCode:
    """`CAPABILITY`, which spares the client a command."""
    return ResponseCode(b"CAPABILITY", " ".join(names).encode("ascii"))


def uid_validity(number: int) -> ResponseCode:
    """`UIDVALIDITY` of the selected mailbox."""
    return ResponseCode(b"UIDVALIDITY", b"%d" % number)


def uid_next(number: int) -> ResponseCode:
    """`UIDNEXT` of the selected mailbox."""
    return ResponseCode(b"UIDNEXT", b"%d" % number)


def unseen(seq_num: int) -> ResponseCode:
    r"""`UNSEEN`: the first message without `\Seen`; IMAP4rev1 only."""
    return ResponseCode(b"UNSEEN", b"%d" % seq_num)


def highest_modseq(number: int) -> ResponseCode:
    """`HIGHESTMODSEQ` of the selected mailbox."""
    return ResponseCode(b"HIGHESTMODSEQ", b"%d" % number)


def permanent_flags(flags: Iterable[Flag], *, new_keywords: bool) -> ResponseCode:
    r"""`PERMANENTFLAGS`; `\*` says that new keywords may be made."""
    encoded = flag_list(flags)
    if new_keywords:
        encoded = encoded[:-1] + (b" \\*)" if len(encoded) > 2 else b"\\*)")
    return ResponseCode(b"PERMANENTFLAGS", encoded)


def append_uid(validity: int, uids: UidSet) -> ResponseCode:
    """`APPENDUID`; several UIDs after a MULTIAPPEND."""
    return ResponseCode(b"APPENDUID", b"%d %b" % (validity, uids.encode()))


def copy_uid(validity: int, source: UidSet, target: UidSet) -> ResponseCode:
    """`COPYUID`; both sets in the same order, ascending."""
    return ResponseCode(b"COPYUID", b"%d %b %b" % (validity, source.encode(), target.encode()))


def modified(messages: SequenceSet | UidSet) -> ResponseCode:
    """`MODIFIED`: what a conditional STORE left alone. RFC 7162 §3.1.3."""
    return ResponseCode(b"MODIFIED", messages.encode())


def mailbox_id(object_id: str) -> ResponseCode:
    """`MAILBOXID`. RFC 8474 §4.1."""
    return ResponseCode(b"MAILBOXID", b"(%b)" % object_id.encode("ascii"))


def metadata_max_size(max_bytes: int) -> ResponseCode:
    """`METADATA MAXSIZE`: a value was longer than is kept. RFC 5464 §4.3."""
    return ResponseCode(b"METADATA MAXSIZE", b"%d" % max_bytes)


def metadata_long_entries(longest_bytes: int) -> ResponseCode:
    """`METADATA LONGENTRIES`: values left out for their length. RFC 5464 §4.2.1."""
    return ResponseCode(b"METADATA LONGENTRIES", b"%d" % longest_bytes)
