"""What an operator answers before an installation, and whether it can be: pure, for every way of asking.

`validate_domain` takes what a person typed and says what it means, or what is wrong with it in one sentence and, where
that can be guessed, what was probably meant. IDNA: RFC 5891; address literals: RFC 5321 §4.1.3.
"""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from chatmail.config import Config
from chatmail.config_values import MAIL_DOMAIN, is_ip_address

Registration = Literal["open", "invite", "closed"]
TlsMode = Literal["acme", "self-signed", "files"]

MAX_INPUT: Final = 2000
MAX_DOMAIN: Final = 253
MAX_LABEL: Final = 63
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:(//)?", re.IGNORECASE)
_PORT = re.compile(r":\d*$")
_NUMBERS_AND_DOTS = re.compile(r"[\d.\s]+")
_NEW_SINCE_2003: Final = frozenset("ßς\u200c\u200d")
_RESERVED_TOP: Final = ("local", "localhost", "internal", "lan", "home", "test", "invalid", "onion", "corp")


class DomainKind(StrEnum):
    """What a relay is known by."""

    DOMAIN = "domain"
    IP_ADDRESS = "ip-address"
    TEST = "test"


EXPLANATIONS: Final = {
    DomainKind.DOMAIN: ("The usual way: addresses are name@domain, reachable from everywhere."),
    DomainKind.IP_ADDRESS: ("No domain and no DNS records needed: addresses are name@[IP address]."),
    DomainKind.TEST: ("Begins with an underscore, for trying out: other servers refuse it."),
}
"""A sentence for each choice."""


@dataclass(frozen=True, slots=True)
class DomainAnswer:
    """A usable name, in the form the configuration has it."""

    mail_domain: str
    kind: DomainKind
    note: str = ""
    """One sentence worth knowing, empty if there is none."""

    @property
    def default_tls(self) -> TlsMode:
        """Where the certificate comes from if nobody says otherwise."""
        if self.kind is DomainKind.TEST:
            return "self-signed"
        if self.kind is DomainKind.IP_ADDRESS and not ipaddress.ip_address(self.mail_domain).is_global:
            return "self-signed"
        return "acme"


@dataclass(frozen=True, slots=True)
class DomainProblem:
    """Why what was typed cannot be the name: one sentence; `suggestion` is what was probably meant, or empty."""

    sentence: str
    suggestion: str = ""


def validate_domain(text: str) -> DomainAnswer | DomainProblem:
    """Judge what a person typed as the name of the relay."""
    typed = text.strip()
    if not typed:
        return DomainProblem("Type the domain of this server, such as chat.example.org, or its IP address.")
    if len(typed) > MAX_INPUT or not typed.isprintable():
        return DomainProblem("This is no domain; type one such as chat.example.org.")
    if is_ip_address(typed.removeprefix("[").removesuffix("]")):
        return _judge_address(typed.removeprefix("[").removesuffix("]"))
    for judge in (_with_scheme_or_path, _with_account, _with_port, _mistyped_address, _with_dots, _international):
        problem = judge(typed)
        if problem is not None:
            return problem
    return _judge_name(typed.lower())


def _judge_address(text: str) -> DomainAnswer | DomainProblem:
    address = ipaddress.ip_address(text)
    if address.is_unspecified or address.is_multicast or address.is_loopback:
        return DomainProblem(f"{address} is no address that others can reach; type the one this machine has.")
    note = ""
    if not address.is_global:
        note = "This is a private address: only machines of the same network reach it, with a self-signed certificate."
    return DomainAnswer(str(address), DomainKind.IP_ADDRESS, note)


def _suggest(text: str) -> str:
    """`text` if it is usable, or what would be suggested for it."""
    judged = validate_domain(text)
    return judged.mail_domain if isinstance(judged, DomainAnswer) else judged.suggestion


def _with_scheme_or_path(typed: str) -> DomainProblem | None:
    bare = _SCHEME.sub("", typed, count=1) if "://" in typed else typed
    bare = re.split(r"[/?#]", bare, maxsplit=1)[0]
    if bare == typed:
        return None
    return DomainProblem("Type the domain alone, without https:// and without a path.", _suggest(bare))


def _with_account(typed: str) -> DomainProblem | None:
    if "@" not in typed:
        return None
    return DomainProblem("Type the domain alone, without a name and @ before it.", _suggest(typed.rpartition("@")[2]))


def _with_port(typed: str) -> DomainProblem | None:
    is_bare_ipv6 = typed.count(":") > 1 and not typed.startswith("[")
    if not _PORT.search(typed) or is_bare_ipv6:
        return None
    bare = _PORT.sub("", typed)
    return DomainProblem("Type the domain alone, without a port; the ports are fixed.", _suggest(bare))


def _mistyped_address(typed: str) -> DomainProblem | None:
    if ":" in typed:
        return DomainProblem(f"{typed} is not a valid IPv6 address; check its digits and colons.")
    if not _NUMBERS_AND_DOTS.fullmatch(typed):
        return None
    parts = typed.split(".")
    wrong = [part for part in parts if not part.isascii() or not part.isdigit() or int(part) > 255]
    if len(parts) != 4:
        return DomainProblem(f"{typed} is not a valid IPv4 address: it has {len(parts)} parts instead of 4.")
    if wrong:
        return DomainProblem(f"{typed} is not a valid IPv4 address: {wrong[0]!r} is no number from 0 to 255.")
    plain = ".".join(str(int(part)) for part in parts)
    return DomainProblem(f"{typed} is not a valid IPv4 address: write it without leading zeros.", _suggest(plain))


def _with_dots(typed: str) -> DomainProblem | None:
    if typed.endswith("."):
        return DomainProblem("Type the domain without the final dot.", _suggest(typed.rstrip(".")))
    if typed.startswith(".") or ".." in typed:
        return DomainProblem("There is a dot too many.", _suggest(re.sub(r"\.+", ".", typed).strip(".")))
    return None


def _international(typed: str) -> DomainProblem | None:
    if typed.isascii():
        return None
    try:
        encoded = ".".join(map(_encoded_label, typed.lower().split(".")))
    except UnicodeError:
        return DomainProblem("Only letters a-z, digits, hyphens and dots can be in a domain.")
    return DomainProblem(f"Mail needs the technical form of {typed}: {encoded}.", _suggest(encoded))


def _encoded_label(label: str) -> str:
    """One label as the DNS has it (RFC 5891); raises `UnicodeError`. Python's own codec is older and makes ß ss."""
    if _NEW_SINCE_2003 & set(label):
        return f"xn--{unicodedata.normalize('NFC', label).encode('punycode').decode()}"
    return label.encode("idna").decode()


def _judge_name(name: str) -> DomainAnswer | DomainProblem:
    if len(name) > MAX_DOMAIN:
        return DomainProblem(f"A domain has at most {MAX_DOMAIN} characters; this one has {len(name)}.")
    for label in name.split("."):
        if len(label.removeprefix("_")) > MAX_LABEL:
            return DomainProblem(f"A part between dots has at most {MAX_LABEL} characters; one has {len(label)}.")
        if label.startswith("-") or label.endswith("-"):
            return DomainProblem("A part between dots cannot begin or end with a hyphen.")
    if wrong := sorted(set(re.sub(r"[a-z0-9.-]", "", name.removeprefix("_")))):
        shown = "a blank" if " " in wrong else repr(wrong[0])
        if wrong[0] == "_":
            return DomainProblem("An underscore can stand only at the very beginning, for a test name.")
        return DomainProblem(f"Only letters a-z, digits, hyphens and dots can be in a domain; this has {shown}.")
    if "." not in name:
        return DomainProblem(f"{name} has no dot; type the whole domain, such as {name.removeprefix('_')}.example.org.")
    try:
        MAIL_DOMAIN.parse(name)
    except ValueError as error:
        return DomainProblem(f"It must be {error}.")
    if name.startswith("_"):
        return DomainAnswer(name, DomainKind.TEST)
    return DomainAnswer(name, DomainKind.DOMAIN, _note(name))


def _note(name: str) -> str:
    if name.rpartition(".")[2] in _RESERVED_TOP or name.endswith((".example", ".example.com", ".example.org")):
        return "No certificate authority vouches for a name of this kind; choose self-signed or your own files."
    if name.startswith("www."):
        return "Addresses will carry the www. too; leave it out unless you mean it."
    return ""


_DEFAULTS: Final = Config("example.org")


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything an installation is made from, by the names of the configuration's keys.

    What is not asked keeps the configuration's default and can be changed in the file.
    """

    mail_domain: str
    tls_mode: TlsMode = "acme"
    cert_file: str = ""
    key_file: str = ""
    acme_directory: str = _DEFAULTS.tls.acme_directory
    acme_email: str = ""
    acme_ca_file: str = ""
    registration: Registration = _DEFAULTS.accounts.registration
    delete_inactive_users_after: int = _DEFAULTS.accounts.delete_inactive_users_after
    delete_mails_after: int = _DEFAULTS.mail.delete_mails_after
    delete_large_after: int = _DEFAULTS.mail.delete_large_after
    max_mailbox_size: int = _DEFAULTS.mail.max_mailbox_size
    admin: str = ""
    """How to reach the operator, such as `mailto:admin@example.org`."""
    resolvers: tuple[str, ...] = ()
