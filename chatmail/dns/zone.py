"""Renderings of the records: a BIND zone file (RFC 1035 §5), and the forms that registrars' web pages ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chatmail.dns.records import TTL_SECONDS, DnsRecord, RecordType

MAX_CHARACTER_STRING_OCTETS: Final = 255
"""RFC 1035 §3.3: a <character-string> carries its length in one octet."""


@dataclass(frozen=True, slots=True)
class FormRow:
    """One record as a web form wants it.

    `relative_name` is what stands before the zone (`@` for the zone itself); `full_name` ends without a dot;
    `value` is one string, unquoted; `split_value` is the quoted form in pieces for forms that take no long string
    (equal to `value` for everything but TXT).
    """

    relative_name: str
    full_name: str
    type: str
    value: str
    split_value: str
    ttl_seconds: int
    required: bool
    purpose: str


def character_strings(text: str) -> str:
    """`text` as quoted character-strings of at most 255 octets each, separated by blanks."""
    escaped = [text[at : at + MAX_CHARACTER_STRING_OCTETS] for at in range(0, len(text), MAX_CHARACTER_STRING_OCTETS)]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in escaped or [""])


def presentation(record: DnsRecord) -> str:
    """The record's value as a zone file has it."""
    return character_strings(record.value) if record.type is RecordType.TXT else record.value


def relative_name(name: str, zone: str) -> str:
    """What a form for `zone` wants as the name: `@` for the zone itself."""
    return "@" if name == zone else name.removesuffix(f".{zone}")


def render_zone(records: Sequence[DnsRecord]) -> str:
    """The records as lines of a zone file, absolute names, each below its purpose as a comment.

    It holds what the relay needs and no SOA or NS: those belong to whoever runs the zone, who includes this.
    """
    lines = []
    for record in records:
        necessity = "required" if record.required else "recommended"
        lines.append(f"; {necessity}: {record.purpose}")
        lines.append(f"{record.name}. {TTL_SECONDS} IN {record.type} {presentation(record)}")
    return "".join(f"{line}\n" for line in lines)


def form_rows(records: Sequence[DnsRecord], zone: str) -> tuple[FormRow, ...]:
    """The records as web forms for `zone` want them."""
    return tuple(
        FormRow(
            relative_name=relative_name(record.name, zone),
            full_name=record.name,
            type=record.type,
            value=record.value,
            split_value=presentation(record),
            ttl_seconds=TTL_SECONDS,
            required=record.required,
            purpose=record.purpose,
        )
        for record in records
    )


def render_forms(records: Sequence[DnsRecord], zone: str) -> str:
    """The records as a person copies them into a web form: name, type, value; long texts also in the split form."""
    blocks = []
    for row in form_rows(records, zone):
        lines = [
            f"{'required' if row.required else 'recommended'}: {row.purpose}",
            f"  Type   {row.type}",
            f"  Name   {row.relative_name}        (some forms want the whole: {row.full_name})",
            f"  Value  {row.value}",
        ]
        if row.type == RecordType.TXT and len(row.value) > MAX_CHARACTER_STRING_OCTETS:
            lines.append(f"  Split  {row.split_value}        (for forms that take at most 255 characters in a piece)")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)
