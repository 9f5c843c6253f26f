"""Mailbox names of IMAP4rev1: modified UTF-7. RFC 3501 §5.1.3.

`decode` and `encode` are each other's inverse: what another spelling of the same name would be is refused, so that two
names on the wire never mean one mailbox.
"""

import re
from base64 import b64decode, b64encode

from chatmail.imap.syntax import ImapSyntaxError

_PLAIN = re.compile(rb"[\x20-\x25\x27-\x7e]*")
_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*+)-")
_TO_SHIFT = re.compile(r"&|[^\x20-\x7e]+")


def decode(name: bytes) -> str:
    """The name that `name` spells. Raises `ImapSyntaxError` where it is no modified UTF-7, or not the one spelling."""
    if _PLAIN.fullmatch(name):
        return name.decode("ascii")
    try:
        decoded = _SHIFTED.sub(_decode_run, name.decode("ascii"))
        is_canonical = encode(decoded) == name
    except ValueError:
        is_canonical = False
    if not is_canonical:
        raise ImapSyntaxError("a mailbox name is not in modified UTF-7")
    return decoded


def _decode_run(match: re.Match[str]) -> str:
    run = match[1].replace(",", "/")
    return b64decode(run + "=" * (-len(run) % 4)).decode("utf-16-be") if run else "&"


def encode(name: str) -> bytes:
    """The spelling of `name`. Raises `UnicodeEncodeError` for lone surrogates, which no parsed name holds."""
    if name.isascii() and "&" not in name and name.isprintable():
        return name.encode("ascii")
    return _TO_SHIFT.sub(_encode_run, name).encode("ascii")


def _encode_run(match: re.Match[str]) -> str:
    run = "" if match[0] == "&" else b64encode(match[0].encode("utf-16-be")).decode("ascii")
    return "&" + run.rstrip("=").replace("/", ",") + "-"
