"""A walk over the packets of an OpenPGP message: session keys first, then one encrypted data packet, then the end.

The door is `PacketWalk`: octets go in by `feed` in pieces of any size, or are passed over by `skip` as far as
`skippable` says; `finish` tells whether the message was whole. RFC 9580 §4.2 (packet headers), §10.3 (the grammar):

    (PKESK | SKESK)*  SEIPD  end of data

No packet body is looked into: nobody but the receiver can tell whether it decrypts. A message without session-key
packets is taken too, since nobody can read it. Memory does not grow with the message, and the work on one made of
tiny packets or tiny partial lengths is bounded.
"""

from typing import Final

from chatmail.errors import ProtocolError

PKESK: Final = 1
SKESK: Final = 3
SEIPD: Final = 18
"""Tags of RFC 9580 §5.1, §5.3 and §5.13."""

MIN_FIRST_PARTIAL_OCTETS: Final = 512
"""RFC 9580 §4.2.1.4."""
MAX_SESSION_KEYS: Final = 10_000
"""Ten for each of the 1,000 recipients a message may have."""
MAX_PARTIAL_LENGTHS: Final = 1 << 16
"""A message of 30 MiB in the smallest pieces anybody writes, 512 octets, has 61,440."""

_SHORTEST_HEADER: Final = 2


class OpenPgpError(ProtocolError):
    """The octets are not an encrypted OpenPGP message, and nothing but one."""


class PacketWalk:
    """Where the walk stands in the message."""

    __slots__ = ("_body", "_continues", "_header", "_length_octets", "_partials", "_session_keys", "_tag", "_wanted")

    def __init__(self) -> None:
        """Before the first packet."""
        self._tag = 0
        self._header = bytearray()
        self._wanted = _SHORTEST_HEADER
        self._length_octets = 0  # of a legacy header; 0 in the new format, whose first length octet tells
        self._body = 0
        self._continues = False  # after this piece of the body another partial length comes
        self._session_keys = 0
        self._partials = 0

    @property
    def skippable(self) -> int:
        """How many of the next octets are body, so that it does not matter what they are."""
        return self._body

    def skip(self, octets: int) -> None:
        """Pass over `octets` of the body without seeing them; no more than `skippable`."""
        if octets > self._body:
            raise ValueError("only octets of a packet body may be skipped")
        self._body -= octets

    def feed(self, octets: bytes) -> None:
        """Walk on. Raises `OpenPgpError` at the first octet that has no place in an encrypted message."""
        position = 0
        while position < len(octets):
            if self._body:
                step = min(self._body, len(octets) - position)
                self._body -= step
                position += step
            else:
                taken = octets[position : position + self._wanted - len(self._header)]
                self._header += taken
                position += len(taken)
                if len(self._header) == self._wanted:
                    self._read_header()

    def finish(self) -> None:
        """The data ends here. Raises `OpenPgpError` if a packet is cut short or the last one is no encrypted data."""
        if not self._at_end():
            raise OpenPgpError("the message is cut short")

    def _at_end(self) -> bool:
        return self._tag == SEIPD and not (self._body or self._continues or self._header)

    def _read_header(self) -> None:
        """As many octets as were wanted have come: they are the whole header, or say how many more are wanted."""
        if self._continues:
            self._read_new_length(0)
            return
        if len(self._header) == _SHORTEST_HEADER:
            self._begin_packet(self._header[0])
        if self._length_octets:
            self._read_legacy_length()
        else:
            self._read_new_length(1)

    def _begin_packet(self, octet: int) -> None:
        if self._tag == SEIPD:
            raise OpenPgpError("something follows the last packet")
        if octet & 0xC0 == 0xC0:
            self._tag, self._length_octets = octet & 0x3F, 0
        elif octet & 0x80 and octet & 0x03 != 3:  # 3: a length that goes to the end, never legal for session keys
            self._tag, self._length_octets = (octet & 0x3C) >> 2, 1 << (octet & 0x03)
        else:
            raise OpenPgpError("not a packet header")
        if self._tag not in (PKESK, SKESK, SEIPD):
            raise OpenPgpError("a packet that has no place in an encrypted message")
        self._session_keys += 1
        if self._session_keys > MAX_SESSION_KEYS:
            raise OpenPgpError("too many packets")

    def _read_legacy_length(self) -> None:
        self._wanted = 1 + self._length_octets
        if len(self._header) == self._wanted:
            self._begin_body(int.from_bytes(self._header[1:], "big"), continues=False)

    def _read_new_length(self, start: int) -> None:
        first = self._header[start]
        if 224 <= first < 255:
            self._begin_partial(1 << (first & 0x1F))
            return
        self._wanted = start + (1 if first < 192 else 2 if first < 224 else 5)
        if len(self._header) == self._wanted:
            rest = int.from_bytes(self._header[start + 1 :], "big")
            length = first if first < 192 else (first - 192 << 8) + rest + 192 if first < 224 else rest
            self._begin_body(length, continues=False)

    def _begin_partial(self, length: int) -> None:
        if self._tag != SEIPD:
            raise OpenPgpError("a partial length outside of a data packet")
        if not self._continues and length < MIN_FIRST_PARTIAL_OCTETS:
            raise OpenPgpError("the first partial length is too short")
        self._partials += 1
        if self._partials > MAX_PARTIAL_LENGTHS:
            raise OpenPgpError("too many partial lengths")
        self._begin_body(length, continues=True)

    def _begin_body(self, length: int, *, continues: bool) -> None:
        self._header.clear()
        self._body = length
        self._continues = continues
        self._wanted = 1 if continues else _SHORTEST_HEADER
