"""The configuration: frozen dataclasses, one field per TOML key, each with its unit, range and default.

`parse_config(text)` is the only door in. Keys that chatmail/relay has keep its name, unit and default. An unknown key
is an error that names the nearest known one. This module reads no file; `chatmail.config_text` writes TOML again.
"""

import difflib
import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, Literal, get_args, get_type_hints

from chatmail.config_values import (
    DAY,
    DOMAIN,
    GIB,
    HOST,
    HOUR,
    IP_ADDRESS,
    KIB,
    LOOPBACK,
    MAIL_DOMAIN,
    MIB,
    MINUTE,
    PATH,
    PORT,
    PORT_OR_OFF,
    RESOLVER,
    SELECTOR,
    TEXT,
    URL,
    YES_OR_NO,
    Kind,
    choice,
    duration,
    is_ip_address,
    list_of,
    number,
    size,
    text,
    whole_number,
)
from chatmail.errors import ConfigError

__all__ = ["DAY", "HOUR", "KIB", "MIB", "MINUTE", "Config", "keys_of", "parse_config"]

DEFAULT_CONFIG_PATH: Final = "/etc/chatmail/chatmail.toml"
DEFAULT_DATA_DIR: Final = "/var/lib/chatmail"
CLIENT_LOCALPART_LENGTH: Final = 9
"""Clients make up names of this length, so it must always be allowed."""

_BIG: Final = 1_000_000_000
_TIB: Final = 1024 * GIB


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """`[listen]`: where the listeners bind. A port of 0 switches its listener off."""

    addresses: Annotated[tuple[str, ...], list_of(IP_ADDRESS)] = ("0.0.0.0", "::")
    """IP addresses to listen on. A machine without IPv6 is served on the rest of the default list."""
    smtp: Annotated[int, PORT_OR_OFF] = 25
    """Port for mail from other servers (STARTTLS)."""
    submission: Annotated[int, PORT_OR_OFF] = 587
    """Port where clients send, STARTTLS."""
    submissions: Annotated[int, PORT_OR_OFF] = 465
    """Port where clients send, implicit TLS."""
    imap: Annotated[int, PORT_OR_OFF] = 143
    """Port where clients read, STARTTLS."""
    imaps: Annotated[int, PORT_OR_OFF] = 993
    """Port where clients read, implicit TLS."""
    https: Annotated[int, PORT_OR_OFF] = 443
    """Port of the web page and of account creation."""
    http: Annotated[int, PORT_OR_OFF] = 80
    """Port that leads browsers to HTTPS."""


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """`[tls]`: where the certificate comes from."""

    mode: Annotated[Literal["acme", "self-signed", "files"], choice("acme", "self-signed", "files")] = "acme"
    """`acme` obtains certificates, `self-signed` makes one, `files` uses `cert_file` and `key_file`.

    Without this key a domain that begins with `_`, or a private IP address, is self-signed.
    """
    cert_file: Annotated[str, PATH] = ""
    """Certificate chain (PEM), the server's own first; for mode `files`."""
    key_file: Annotated[str, PATH] = ""
    """Private key (PEM, without passphrase); for mode `files`."""
    acme_directory: Annotated[str, URL] = "https://acme-v02.api.letsencrypt.org/directory"
    """Directory URL of the certificate authority."""
    acme_email: Annotated[str, TEXT] = ""
    """Where the certificate authority may write to; may be empty."""
    acme_ca_file: Annotated[str, PATH] = ""
    """Certificates (PEM) to trust when talking to `acme_directory`; empty means the system's."""
    acme_challenge: Annotated[Literal["auto", "tls-alpn-01", "http-01"], choice("auto", "tls-alpn-01", "http-01")] = (
        "auto"
    )
    """How ownership of the domain is proved; `auto` tries TLS-ALPN-01, then HTTP-01."""
    acme_eab_kid: Annotated[str, TEXT] = ""
    """Key id of an account at the certificate authority, for those that require one (external account binding)."""
    acme_eab_hmac_key: Annotated[str, text(secret=True)] = ""
    """The key that belongs to `acme_eab_kid`, base64url as the certificate authority gives it out; secret."""


@dataclass(frozen=True, slots=True)
class AccountsConfig:
    """`[accounts]`: who may have an account, and for how long."""

    registration: Annotated[Literal["open", "invite", "closed"], choice("open", "invite", "closed")] = "open"
    """`open`: the first login makes the account; `invite`: only with an invitation; `closed`: no new accounts."""
    username_min_length: Annotated[int, whole_number(1, 64)] = 9
    """Shortest name before the `@`, in characters; 9 must stay allowed, for clients make up names of 9."""
    username_max_length: Annotated[int, whole_number(1, 64)] = 9
    """Longest name before the `@`, in characters."""
    password_min_length: Annotated[int, whole_number(1, 22)] = 9
    """Shortest password, in characters; clients make up passwords of 22."""
    delete_inactive_users_after: Annotated[int, whole_number(1, 36500)] = 90
    """Accounts without a login for so many days are removed."""


@dataclass(frozen=True, slots=True)
class MailConfig:
    """`[mail]`: how much, how fast, how long."""

    max_message_size: Annotated[int, size(64 * KIB, GIB)] = 31457280
    """Largest message, in bytes."""
    max_mailbox_size: Annotated[int, size(MIB, 1024 * _TIB)] = 500 * MIB
    """Quota of an account, in bytes."""
    max_recipients: Annotated[int, whole_number(1, 100_000)] = 1000
    """Recipients of one message; clients are told."""
    max_user_send_per_minute: Annotated[int, whole_number(1, _BIG)] = 60
    """Messages an account may send per minute in the long run."""
    max_user_send_burst_size: Annotated[int, whole_number(1, _BIG)] = 10
    """Messages an account may send at once."""
    delete_mails_after: Annotated[int, whole_number(1, 36500)] = 20
    """Messages are removed after so many days."""
    delete_large_after: Annotated[int, whole_number(1, 36500)] = 7
    """Messages above 200,000 bytes are removed after so many days."""


@dataclass(frozen=True, slots=True)
class ImapConfig:
    """`[imap]`: how IMAP shows itself."""

    imap_compress: Annotated[bool, YES_OR_NO] = False
    """Offer COMPRESS=DEFLATE: a quarter less traffic, for some 60 KiB of memory for each connection that uses it."""
    stealth: Annotated[bool, YES_OR_NO] = False
    """Say nothing of chatmail before the login: no XCHATMAIL, no XDELTAPUSH, no name in greeting and ID."""


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """`[limits]`: connections, and the guards under which no new account is made."""

    max_imap_connections: Annotated[int, whole_number(1, 10_000_000)] = 10000
    """IMAP connections at the same time."""
    max_smtp_connections: Annotated[int, whole_number(1, 10_000_000)] = 1000
    """SMTP connections at the same time."""
    max_load_1m: Annotated[float, number(0, _BIG)] = 5
    """No new accounts while the load average of one minute, per CPU, is above this; 0 switches the guard off."""
    min_available_memory: Annotated[int, size(0, _TIB)] = 200 * MIB
    """No new accounts while less memory is available, in bytes; 0 switches the guard off."""
    min_free_disk_space: Annotated[int, size(0, 1024 * _TIB)] = 1024 * MIB
    """No new accounts while the disk of `data_dir` has less space, in bytes; 0 switches the guard off."""


@dataclass(frozen=True, slots=True)
class DnsConfig:
    """`[dns]`: who answers DNS questions."""

    resolvers: Annotated[tuple[str, ...], list_of(RESOLVER)] = ()
    """IP addresses, with a port if it is not 53 (`127.0.0.1:5353`); empty means the system's."""


@dataclass(frozen=True, slots=True)
class FederationConfig:
    """`[federation]`: mail to and from other servers."""

    smtp_port: Annotated[int, PORT] = 25
    """Port of other servers that mail goes to over SMTP."""
    https_port: Annotated[int, PORT] = 443
    """Port of other servers that mail goes to over HTTPS."""
    ca_file: Annotated[str, PATH] = ""
    """Certificates (PEM) that other servers' are checked with beside the system's; for private networks."""
    dkim_selector: Annotated[str, SELECTOR] = "chatmail"
    """Selector of the DKIM key, the label before `._domainkey`."""
    queue_lifetime: Annotated[int, duration(MINUTE, 30 * DAY)] = 2 * DAY
    """How long delivery is tried, in seconds, or as text such as `"2d"`."""
    blocked_domains: Annotated[tuple[str, ...], list_of(DOMAIN)] = ()
    """Domains no mail is taken from or sent to."""


@dataclass(frozen=True, slots=True)
class PushConfig:
    """`[push]`: notifications for phones that sleep."""

    notifier_url: Annotated[str, URL] = "https://notifications.delta.chat/notify"
    """Where push notifications are posted; empty switches them off."""


@dataclass(frozen=True, slots=True)
class MetadataConfig:
    """`[metadata]`: what clients are told by GETMETADATA; an empty value is not announced."""

    admin: Annotated[str, TEXT] = ""
    """How to reach the operator, such as `mailto:admin@example.org`; empty means the mail address of `[privacy]`."""
    comment: Annotated[str, TEXT] = ""
    """A sentence about this server."""
    appversions: Annotated[str, TEXT] = ""
    """The newest versions of apps, as one line of JSON that apps read; not looked at here."""
    irohrelay: Annotated[str, URL] = ""
    """URL of an iroh relay for real-time apps; without one clients use their own default."""
    turn_host: Annotated[str, HOST] = ""
    """Host of a TURN server for calls."""
    turn_port: Annotated[int, PORT] = 3478
    """Port of the TURN server."""
    turn_secret: Annotated[str, text(secret=True)] = ""
    """Secret shared with the TURN server, from which clients' credentials are made."""


@dataclass(frozen=True, slots=True)
class PrivacyConfig:
    """`[privacy]`: contacts named on the privacy page."""

    postal: Annotated[str, text(lines=True)] = ""
    """Postal address of the operator; may have several lines."""
    mail: Annotated[str, TEXT] = ""
    """Mail address for questions of privacy."""
    pdo: Annotated[str, text(lines=True)] = ""
    """The privacy data officer, if there is one."""
    supervisor: Annotated[str, text(lines=True)] = ""
    """The authority that supervises the operator."""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """`[web]`: the web page."""

    folder: Annotated[str, PATH] = ""
    """A folder of own pages instead of the built-in ones."""


@dataclass(frozen=True, slots=True)
class LogConfig:
    """`[log]`: what is logged."""

    level: Annotated[Literal["error", "warning", "info", "debug"], choice("error", "warning", "info", "debug")] = "info"
    """`info` names no address, IP or Message-ID; `debug` does."""


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """`[metrics]`: counts for a Prometheus on this machine."""

    listen: Annotated[str, LOOPBACK] = ""
    """Loopback address and port where `/metrics` is served in plain HTTP, such as `127.0.0.1:9253`; empty means off."""


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. Only `mail_domain` has no default."""

    mail_domain: Annotated[str, MAIL_DOMAIN]
    """What stands behind the `@`: a domain, a domain beginning with `_` (self-signed), or an IP address."""
    data_dir: Annotated[str, PATH] = DEFAULT_DATA_DIR
    """Folder of everything durable: accounts, mail, keys."""
    listen: ListenConfig = field(default_factory=ListenConfig)
    tls: TlsConfig = field(default_factory=TlsConfig)
    accounts: AccountsConfig = field(default_factory=AccountsConfig)
    mail: MailConfig = field(default_factory=MailConfig)
    imap: ImapConfig = field(default_factory=ImapConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    dns: DnsConfig = field(default_factory=DnsConfig)
    federation: FederationConfig = field(default_factory=FederationConfig)
    push: PushConfig = field(default_factory=PushConfig)
    metadata: MetadataConfig = field(default_factory=MetadataConfig)
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)
    web: WebConfig = field(default_factory=WebConfig)
    log: LogConfig = field(default_factory=LogConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)

    @property
    def address_domain(self) -> str:
        """The domain of this server's addresses, as `Address` writes it: in lower case.

        The domain itself, or `[192.0.2.1]` / `[ipv6:2001:db8::1]` for an IP address.
        """
        if not is_ip_address(self.mail_domain):
            return self.mail_domain
        return f"[ipv6:{self.mail_domain}]" if ":" in self.mail_domain else f"[{self.mail_domain}]"


def parse_config(text: str) -> Config:
    """Parse TOML. Raises `ConfigError` with one sentence: the key, what is wrong, what to write instead."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The configuration is not valid TOML: {_one_line(error)}; mend that line.") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"The configuration is not valid TOML: {_one_line(error)}.") from None
    config: Config = _parse_table(Config, document, "")
    if "mail_domain" not in document:
        raise ConfigError('mail_domain is missing; write mail_domain = "chat.example.org" with your own domain.')
    if "mode" not in document.get("tls", {}):
        config = _with_default_tls_mode(config)
    _check_combinations(config)
    return config


def keys_of(table: type) -> dict[str, Kind | type]:
    """The keys of a section, in order: the kind of value each has, or for a section its dataclass."""
    hints = get_type_hints(table, include_extras=True)
    return {name: hint if isinstance(hint, type) else get_args(hint)[1] for name, hint in hints.items()}


def _parse_table(table: type, document: Mapping[str, object], section: str) -> Any:  # noqa: ANN401 — a `table`
    values: dict[str, Any] = {}
    for name, value in document.items():
        match keys_of(table).get(name):
            case None:
                raise ConfigError(_unknown(name, section, is_section=isinstance(value, dict)))
            case Kind() as kind:
                values[name] = _parse_value(kind, name, value, section)
            case nested:
                if not isinstance(value, dict):
                    raise ConfigError(f"{name} is a section; write [{name}] on a line of its own and its keys below.")
                values[name] = _parse_table(nested, value, name)
    if table is Config:
        values.setdefault("mail_domain", "")
    return table(**values)


def _parse_value(kind: Kind, name: str, value: object, section: str) -> object:
    try:
        return kind.parse(value)
    except ValueError as error:
        raise ConfigError(f"{_named(name, section)} must be {error}{_but_is(value, kind)}.") from None


def _but_is(value: object, kind: Kind) -> str:
    shown = repr(value) if not isinstance(value, str) else f'"{value}"'
    is_presentable = len(shown) <= 60 and shown.isprintable() and not kind.secret
    return f", and it is {shown}" if is_presentable else ""


def _named(name: str, section: str) -> str:
    return f"{name} in [{section}]" if section else name


def _unknown(name: str, section: str, *, is_section: bool) -> str:
    """The sentence for an unknown key or section; a key that is at home in another section is sent there."""
    homes = {key: home for home, keys in _sections().items() for key in keys}
    shown = name if len(name) <= 60 and name.isprintable() else "(unreadable)"
    if is_section and not section:
        return f"Unknown section [{shown}]; the nearest known section is [{_nearest(name, list(_sections())[1:])}]."
    here = list(_sections()[section])
    if not difflib.get_close_matches(name, here) and (near := difflib.get_close_matches(name, list(homes), n=1)):
        where = f"[{homes[near[0]]}]" if homes[near[0]] else "the lines before the first section"
        return f"Unknown key {_named(shown, section)}; the nearest known key is {near[0]}, which belongs in {where}."
    return f"Unknown key {_named(shown, section)}; the nearest known key there is {_nearest(name, here)}."


def _sections() -> dict[str, list[str]]:
    """Names of the keys by section; the keys that stand before any section are under the empty name, the first."""
    tables = keys_of(Config)
    top = [name for name, kind in tables.items() if isinstance(kind, Kind)]
    return {"": top} | {name: list(keys_of(kind)) for name, kind in tables.items() if isinstance(kind, type)}


def _nearest(name: str, known: list[str]) -> str:
    return difflib.get_close_matches(name, known, n=1, cutoff=0)[0]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _with_default_tls_mode(config: Config) -> Config:
    """No certificate authority vouches for a name with `_` in front, or for a private address."""
    domain = config.mail_domain
    is_private = is_ip_address(domain) and not ipaddress.ip_address(domain).is_global
    if domain.startswith("_") or is_private:
        return replace(config, tls=replace(config.tls, mode="self-signed"))
    return config


def _check_combinations(config: Config) -> None:
    """What no value alone can show to be wrong."""
    problems = (_tls_problem(config), _accounts_problem(config), _listen_problem(config.listen), _other_problem(config))
    for problem in problems:
        if problem:
            raise ConfigError(problem)


def _tls_problem(config: Config) -> str | None:
    tls = config.tls
    has_files = bool(tls.cert_file or tls.key_file)
    if tls.mode == "files" and not (tls.cert_file and tls.key_file):
        return 'mode = "files" in [tls] needs both cert_file and key_file; name the two PEM files.'
    if tls.mode != "files" and has_files:
        return f'cert_file and key_file in [tls] are for mode = "files", not "{tls.mode}"; write that or remove them.'
    if tls.mode == "acme" and config.mail_domain.startswith("_"):
        return 'A mail_domain that begins with "_" gets no certificate by ACME; write mode = "self-signed" in [tls].'
    if tls.mode == "acme" and not tls.acme_directory:
        return "acme_directory in [tls] is empty; name the URL of a certificate authority, or write another mode."
    return None


def _accounts_problem(config: Config) -> str | None:
    accounts = config.accounts
    if not accounts.username_min_length <= CLIENT_LOCALPART_LENGTH <= accounts.username_max_length:
        return (
            f"username_min_length and username_max_length in [accounts] must leave {CLIENT_LOCALPART_LENGTH} allowed, "
            "since clients make up names of that length."
        )
    return None


def _listen_problem(listen: ListenConfig) -> str | None:
    seen: dict[int, str] = {}
    for name in _sections()["listen"][1:]:
        port: int = getattr(listen, name)
        if port and port in seen:
            return (
                f"{seen[port]} and {name} in [listen] are both {port}; give each listener its own port, or 0 for off."
            )
        seen[port] = name
    if not listen.addresses:
        return 'addresses in [listen] is empty; write ["0.0.0.0", "::"] for all addresses of this machine.'
    return None


def _other_problem(config: Config) -> str | None:
    if config.mail.max_mailbox_size < config.mail.max_message_size:
        return "max_mailbox_size in [mail] is smaller than max_message_size; make it larger."
    if config.metadata.turn_host and not config.metadata.turn_secret:
        return "turn_host in [metadata] needs turn_secret too; write the secret of that TURN server."
    if not config.data_dir:
        return 'data_dir is empty; name a folder such as "/var/lib/chatmail".'
    return None
