"""The kinds of value a configuration key can have: each takes what TOML gave and returns what the program uses.

A kind raises `ValueError` with a phrase that completes "must be …"; `chatmail.config` makes the sentence of it.
Used as `Annotated` metadata on the fields of the configuration.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_SIZE_UNITS: Final = {"": 1, "K": KIB, "M": MIB, "G": GIB}
_SIZE = re.compile(r"(\d{1,18})\s*([KMG]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_DURATION_UNITS: Final = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_DURATION = re.compile(r"(\d{1,9})\s*([smhdw])", re.IGNORECASE | re.ASCII)
# Dns labels of letters, digits and hyphens (RFC 1123 §2.1); "_" may begin the first, which marks a self-signed server.
_DOMAIN = re.compile(r"_?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*", re.ASCII)
_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*", re.ASCII)
_MAX_DOMAIN_OCTETS: Final = 253
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_BUT_NEWLINE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")

MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Kind:
    """How one value is checked: `parse` raises `ValueError` with a phrase that completes "must be …"."""

    parse: Callable[[Any], object]
    secret: bool = False
    """Whether `config show` hides the value."""


def whole_number(lowest: int, highest: int) -> Kind:
    """A whole number in a range."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise ValueError(f"a whole number from {lowest} to {highest}")
        return value

    return Kind(parse)


def number(lowest: float, highest: float) -> Kind:
    """A number, with or without a fraction, in a range."""

    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
            raise ValueError(f"a number from {lowest:g} to {highest:g}")
        return value

    return Kind(parse)


def size(lowest: int, highest: int) -> Kind:
    """A size in bytes: a whole number, or text such as `"500M"` (units K, M, G of 1024)."""

    def parse(value: object) -> int:
        result = value if isinstance(value, int) and not isinstance(value, bool) else None
        if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
            result = int(match[1]) * _SIZE_UNITS[match[2].upper()]
        if result is None or not lowest <= result <= highest:
            raise ValueError(f'a size from "{size_text(lowest)}" to "{size_text(highest)}", in bytes or like "500M"')
        return result

    return Kind(parse)


def size_text(size_bytes: int) -> str:
    """The shortest exact way to write a size: `524288000` is `500M`."""
    for unit in ("G", "M", "K"):
        if size_bytes and size_bytes % _SIZE_UNITS[unit] == 0:
            return f"{size_bytes // _SIZE_UNITS[unit]}{unit}"
    return str(size_bytes)


def duration(lowest: int, highest: int) -> Kind:
    """A duration in seconds: a whole number, or text such as `"2d"` (units s, m, h, d, w)."""

    def parse(value: object) -> int:
        result = value if isinstance(value, int) and not isinstance(value, bool) else None
        if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
            result = int(match[1]) * _DURATION_UNITS[match[2].lower()]
        if result is None or not lowest <= result <= highest:
            raise ValueError(
                f'a duration from "{duration_text(lowest)}" to "{duration_text(highest)}", in seconds or like "2d"'
            )
        return result

    return Kind(parse)


def duration_text(seconds: int) -> str:
    """The shortest exact way to write a duration: `172800` is `2d`."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % _DURATION_UNITS[unit] == 0:
            return f"{seconds // _DURATION_UNITS[unit]}{unit}"
    return f"{seconds}s"


def choice(*words: str) -> Kind:
    """One of some words."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError("one of " + ", ".join(f'"{word}"' for word in words))
        return value

    return Kind(parse)


def _parse_yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false, without quotes")
    return value


def text(*, secret: bool = False, lines: bool = False) -> Kind:
    """Text without control characters; `lines` allows it to have several lines."""
    forbidden = _CONTROL_BUT_NEWLINE if lines else _CONTROL

    def parse(value: object) -> str:
        if not isinstance(value, str) or forbidden.search(value):
            raise ValueError("text in quotes, without control characters")
        return value

    return Kind(parse, secret)


def _parse_path(value: object) -> str:
    if not isinstance(value, str) or (value and not value.startswith("/")) or _CONTROL.search(value):
        raise ValueError('a path that begins with "/"')
    return value


def _parse_url(value: object) -> str:
    problem = ValueError('a URL that begins with "https://" (or "http://")')
    if not isinstance(value, str) or _CONTROL.search(value) or " " in value:
        raise problem
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if value and not usable:
        raise problem
    return value


def is_ip_address(value: str) -> bool:
    """Whether it is an IPv4 or IPv6 address (without a zone)."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return "%" not in value


def _is_domain(value: str) -> bool:
    top_label = value.rpartition(".")[2]
    return len(value) <= _MAX_DOMAIN_OCTETS and _DOMAIN.fullmatch(value) is not None and not top_label.isdigit()


def _parse_domain(value: object) -> str:
    if not isinstance(value, str) or not _is_domain(value.lower()):
        raise ValueError('a domain such as "chat.example.org" (write international names in their "xn--" form)')
    return value.lower()


def _parse_mail_domain(value: object) -> str:
    if isinstance(value, str) and is_ip_address(value):
        return str(ipaddress.ip_address(value))
    try:
        return _parse_domain(value)
    except ValueError as error:
        raise ValueError(f"{error}, or an IP address") from None


def _parse_host(value: object) -> str:
    return "" if value == "" else _parse_mail_domain(value)


def _parse_ip_address(value: object) -> str:
    if not isinstance(value, str) or not is_ip_address(value):
        raise ValueError('an IP address such as "0.0.0.0", "::" or "192.0.2.1"')
    return value


def _parse_resolver(value: object) -> str:
    host, port = split_host_port(value) if isinstance(value, str) else ("", 0)
    if not isinstance(value, str) or not is_ip_address(host) or not 0 < port <= MAX_PORT:
        raise ValueError('an IP address, with a port if it is not 53: "127.0.0.1:5353", "[::1]:5353"')
    return value


def _parse_loopback(value: object) -> str:
    if value == "":
        return ""
    host, port = split_host_port(value, -1) if isinstance(value, str) else ("", 0)
    if not isinstance(value, str) or not is_ip_address(host) or not 0 < port <= MAX_PORT:
        raise ValueError('a loopback address with a port, such as "127.0.0.1:9253" or "[::1]:9253", or empty')
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError('an address of this machine alone, such as "127.0.0.1:9253": what it serves has no password')
    return value


def split_host_port(value: str, default_port: int = 53) -> tuple[str, int]:
    """Split `host`, `host:port` or `[host]:port`; the port is -1 where it is not a number."""
    if is_ip_address(value):
        return value, default_port
    host, colon, port = value.rpartition(":") if not value.endswith("]") else (value, "", "")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not colon:
        return host, default_port
    return host, int(port) if port.isascii() and port.isdigit() and len(port) <= len(str(MAX_PORT)) else -1


def _parse_selector(value: object) -> str:
    if not isinstance(value, str) or not _SELECTOR.fullmatch(value.lower()):
        raise ValueError('a DNS label such as "chatmail"')
    return value.lower()


def list_of(kind: Kind) -> Kind:
    """A list, each item of `kind`; doubles are dropped."""

    def parse(value: object) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise ValueError('a list in brackets, such as ["…"]')
        try:
            return tuple(dict.fromkeys(kind.parse(item) for item in value))
        except ValueError as error:
            raise ValueError(f"a list, each item of it {error}") from None

    return Kind(parse)


PORT: Final = whole_number(1, MAX_PORT)
PORT_OR_OFF: Final = whole_number(0, MAX_PORT)
YES_OR_NO: Final = Kind(_parse_yes_or_no)
PATH: Final = Kind(_parse_path)
URL: Final = Kind(_parse_url)
DOMAIN: Final = Kind(_parse_domain)
MAIL_DOMAIN: Final = Kind(_parse_mail_domain)
HOST: Final = Kind(_parse_host)
IP_ADDRESS: Final = Kind(_parse_ip_address)
RESOLVER: Final = Kind(_parse_resolver)
LOOPBACK: Final = Kind(_parse_loopback)
SELECTOR: Final = Kind(_parse_selector)
TEXT: Final = text()
