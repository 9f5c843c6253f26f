"""Read server name and ALPN list from the first bytes of a TLS connection, before any handshake.

One door: `read_client_hello(data)`. Feed it what has arrived so far, from the first byte; it answers the hello, or how
many bytes it needs before asking again makes sense, or raises `NotTls` or `BadClientHello`. Pure and without state: the
caller keeps the bytes (or leaves them in the socket, `MSG_PEEK`).

RFC 8446 §4.1.2 (ClientHello, the same bytes for TLS 1.2 and older), §5.1 (records, over which a hello may be spread),
RFC 6066 §3 (server name), RFC 7301 (ALPN). It does not judge versions, ciphers or keys: that is the handshake's task.
An SSLv2 hello is not TLS here. Encrypted ClientHello is not offered by us, so its outer hello is all there is to read.
"""

from dataclasses import dataclass
from typing import Final

from chatmail.errors import ProtocolError

MAX_HELLO_BYTES: Final = 16 * 1024
"""Largest hello read, record headers included. A browser's with post-quantum keys has about 1.8 KB."""

MAX_RECORDS: Final = 16
"""Records one hello may be spread over; clients that fragment use two or three. Bounds the work of reading it again."""

_RECORD_HEADER_BYTES: Final = 5
_HANDSHAKE_RECORD: Final = 22
_CLIENT_HELLO: Final = 1
_MAX_RECORD_BYTES: Final = 2**14
_MAX_NAME_BYTES: Final = 255
_SERVER_NAME_EXTENSION: Final = 0
_ALPN_EXTENSION: Final = 16
_HOST_NAME: Final = 0
_RANDOM_BYTES: Final = 32

# RFC 8446 §6.2
DECODE_ERROR: Final = 50
NO_APPLICATION_PROTOCOL: Final = 120


class NotTls(ProtocolError):
    """The first bytes are no TLS record: plaintext, SSLv2 or noise. No alert would be understood."""


class BadClientHello(ProtocolError):
    """TLS records that hold no acceptable ClientHello. The wire answer is a fatal `decode_error` alert."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client asked for: `server_name` in lower case, None if not sent; `alpn` in its order of preference."""

    server_name: str | None
    alpn: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NeedMore:
    """The hello is not complete; nothing changes until `at_least_bytes` bytes in all have arrived."""

    at_least_bytes: int


def read_client_hello(data: bytes) -> ClientHello | NeedMore:
    """Read the hello that `data`, the connection's first bytes, begins with; what follows it is ignored.

    Raises `NotTls`, or `BadClientHello` if it is malformed or goes beyond `MAX_HELLO_BYTES` or
    `MAX_RECORDS`.
    """
    handshake = bytearray()
    position = 0
    for _ in range(MAX_RECORDS):
        length = _record_length(data, position)
        end = position + _RECORD_HEADER_BYTES + (length or 0)
        if end > MAX_HELLO_BYTES:
            raise BadClientHello("the ClientHello is too long")
        if length is None or len(data) < end:
            # Part of the body may be here already, and says early that this is no ClientHello.
            _body_length(handshake + data[position + _RECORD_HEADER_BYTES :])
            return NeedMore(end)
        handshake += data[position + _RECORD_HEADER_BYTES : end]
        position = end
        body_length = _body_length(handshake)
        if body_length is not None and len(handshake) >= 4 + body_length:
            return _parse_body(bytes(handshake[4 : 4 + body_length]))
    raise BadClientHello("the ClientHello is spread over too many records")


def fatal_alert(description: int) -> bytes:
    """The bytes of a fatal alert before a version is agreed on (RFC 8446 §6)."""
    return bytes((21, 3, 3, 0, 2, 2, description))


def _record_length(data: bytes, position: int) -> int | None:
    """Length of the record at `position`; None while its header is incomplete."""
    header = data[position : position + _RECORD_HEADER_BYTES]
    wrong_type = header[:1] not in (b"", bytes((_HANDSHAKE_RECORD,)))
    wrong_version = header[1:2] not in (b"", b"\x03")
    if wrong_type or wrong_version:
        raise BadClientHello("another record amid the ClientHello") if position else NotTls("not a TLS handshake")
    if len(header) < _RECORD_HEADER_BYTES:
        return None
    length = int.from_bytes(header[3:5])
    if not 0 < length <= _MAX_RECORD_BYTES:
        raise BadClientHello("a record of impossible length")
    return length


def _body_length(handshake: bytes | bytearray) -> int | None:
    """Length of the message in the handshake bytes so far; None while its header is incomplete."""
    if handshake and handshake[0] != _CLIENT_HELLO:
        raise BadClientHello("the first handshake message is no ClientHello")
    if len(handshake) < 4:
        return None
    length = int.from_bytes(handshake[1:4])
    if length > MAX_HELLO_BYTES:
        raise BadClientHello("the ClientHello is too long")
    return length


class _Reader:
    """Takes counted fields off the front of `data`; runs over its end with `BadClientHello`."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise BadClientHello("a field runs over the end of its container")
        piece = self._data[self._position : end]
        self._position = end
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def vector(self, length_size: int) -> bytes:
        """A field that is preceded by its length (RFC 8446 §3.4)."""
        return self.take(self.number(length_size))

    @property
    def at_end(self) -> bool:
        return self._position == len(self._data)


def _parse_body(body: bytes) -> ClientHello:
    """Walk version, random, session id, cipher suites, compression methods, extensions."""
    reader = _Reader(body)
    reader.take(2 + _RANDOM_BYTES)
    reader.vector(1)
    reader.vector(2)
    reader.vector(1)
    extensions = b"" if reader.at_end else reader.vector(2)
    if not reader.at_end:
        raise BadClientHello("bytes after the extensions")
    return _parse_extensions(extensions)


def _parse_extensions(data: bytes) -> ClientHello:
    reader = _Reader(data)
    seen: set[int] = set()
    server_name: str | None = None
    alpn: tuple[str, ...] = ()
    while not reader.at_end:
        kind = reader.number(2)
        content = reader.vector(2)
        if kind in seen:
            raise BadClientHello("an extension is there twice")  # RFC 8446 §4.2
        seen.add(kind)
        if kind == _SERVER_NAME_EXTENSION:
            server_name = _parse_server_name(content)
        elif kind == _ALPN_EXTENSION:
            alpn = _parse_alpn(content)
    return ClientHello(server_name, alpn)


def _parse_server_name(content: bytes) -> str:
    # struct { NameType name_type; HostName host_name<1..2^16-1> } server_name_list<1..2^16-1>   (RFC 6066 §3)
    # The list may hold one name of a type, and only one type was ever defined.
    outer = _Reader(content)
    entry = _Reader(outer.vector(2))
    name_type = entry.number(1)
    name = entry.vector(2)
    if name_type != _HOST_NAME or not (entry.at_end and outer.at_end):
        raise BadClientHello("a server name that is not one host name")
    if not 0 < len(name) <= _MAX_NAME_BYTES or not all(0x21 <= octet <= 0x7E for octet in name):
        raise BadClientHello("a server name that is no host name")
    return name.decode("ascii").lower()


def _parse_alpn(content: bytes) -> tuple[str, ...]:
    # opaque ProtocolName<1..2^8-1>; ProtocolName protocol_name_list<2..2^16-1>   (RFC 7301 §3.1)
    outer = _Reader(content)
    entries = _Reader(outer.vector(2))
    protocols: list[str] = []
    while not entries.at_end:
        name = entries.vector(1)
        if not name:
            raise BadClientHello("an empty ALPN protocol name")
        protocols.append(name.decode("latin-1"))  # protocol names are octets; every octet has a letter here
    if not protocols or not outer.at_end:
        raise BadClientHello("a malformed ALPN list")
    return tuple(protocols)
