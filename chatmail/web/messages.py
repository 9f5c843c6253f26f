"""One HTTP request as the site sees it, and its answer. No aiohttp type comes further in than the service."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Registration = Literal["open", "invite", "closed", "busy"]
"""Whether new accounts are made: as configured, or `busy` while the machine is at its limits."""


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A parsed request. `host` is the Host header as sent, `path` is percent-decoded, `peer` an IP address."""

    method: str
    path: str
    host: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    accept_language: str = ""
    peer: str = ""


@dataclass(frozen=True, slots=True)
class WebResponse:
    """What goes back; the length and the date are the server's to add."""

    status: int
    content_type: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SiteState:
    """What may change while the server runs: is the certificate one that browsers trust, are new accounts made."""

    certificate_is_trusted: bool
    registration: Registration
