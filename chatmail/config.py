"""The configuration: frozen dataclasses, one field per TOML key, each with its unit and default.

`parse_config(text)` is the only door in. Keys that chatmail/relay has keep its name, unit and default. An unknown key
is an error that names the nearest known one. This module reads no file.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

KIB: Final = 1024
MIB: Final = 1024 * KIB
MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """`[listen]`: where the listeners bind. A port of 0 switches its listener off."""

    addresses: tuple[str, ...] = ("0.0.0.0", "::")
    smtp: int = 25
    submission: int = 587
    submissions: int = 465
    imap: int = 143
    imaps: int = 993
    https: int = 443
    http: int = 80


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """`[tls]`: where the certificate comes from."""

    mode: Literal["acme", "self-signed", "files"] = "acme"
    cert_file: str = ""
    key_file: str = ""
    acme_directory: str = "https://acme-v02.api.letsencrypt.org/directory"
    acme_email: str = ""
    acme_ca_file: str = ""
    acme_challenge: Literal["auto", "tls-alpn-01", "http-01"] = "auto"


@dataclass(frozen=True, slots=True)
class AccountsConfig:
    """`[accounts]`: who may have an account, and for how long (days)."""

    registration: Literal["open", "invite", "closed"] = "open"
    username_min_length: int = 9
    username_max_length: int = 9
    password_min_length: int = 9
    delete_inactive_users_after: int = 90


@dataclass(frozen=True, slots=True)
class MailConfig:
    """`[mail]`: sizes in bytes, retention in days, rates in messages."""

    max_message_size: int = 31457280
    max_mailbox_size: int = 500 * MIB
    max_recipients: int = 1000
    max_user_send_per_minute: int = 60
    max_user_send_burst_size: int = 10
    delete_mails_after: int = 20
    delete_large_after: int = 7


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """`[limits]`: connections, and the guards under which no new account is made (load per CPU, bytes, bytes)."""

    max_imap_connections: int = 10000
    max_smtp_connections: int = 1000
    max_load_1m: float = 5
    min_available_memory: int = 200 * MIB
    min_free_disk_space: int = 1024 * MIB


@dataclass(frozen=True, slots=True)
class DnsConfig:
    """`[dns]`: resolvers as `host` or `host:port`; empty means the system's."""

    resolvers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FederationConfig:
    """`[federation]`: mail to and from other servers. `queue_lifetime` in seconds (`"2d"` in the file)."""

    smtp_port: int = 25
    https_port: int = 443
    ca_file: str = ""
    dkim_selector: str = "chatmail"
    queue_lifetime: int = 2 * DAY
    blocked_domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PushConfig:
    """`[push]`: where push notifications are posted; empty switches them off."""

    notifier_url: str = "https://notifications.delta.chat/notify"


@dataclass(frozen=True, slots=True)
class MetadataConfig:
    """`[metadata]`: what clients are told by GETMETADATA; an empty value is not announced."""

    admin: str = ""
    comment: str = ""
    irohrelay: str = ""
    turn_host: str = ""
    turn_port: int = 3478
    turn_secret: str = ""


@dataclass(frozen=True, slots=True)
class PrivacyConfig:
    """`[privacy]`: contacts named on the privacy page."""

    postal: str = ""
    mail: str = ""
    pdo: str = ""
    supervisor: str = ""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """`[web]`: a folder of own pages instead of the built-in ones."""

    folder: str = ""


@dataclass(frozen=True, slots=True)
class LogConfig:
    """`[log]`: `info` names no address, IP or Message-ID; `debug` does."""

    level: Literal["error", "warning", "info", "debug"] = "info"


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. `mail_domain` is a domain, a domain beginning with `_`, or an IP address."""

    mail_domain: str
    data_dir: str = "/var/lib/chatmail"
    listen: ListenConfig = field(default_factory=ListenConfig)
    tls: TlsConfig = field(default_factory=TlsConfig)
    accounts: AccountsConfig = field(default_factory=AccountsConfig)
    mail: MailConfig = field(default_factory=MailConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    dns: DnsConfig = field(default_factory=DnsConfig)
    federation: FederationConfig = field(default_factory=FederationConfig)
    push: PushConfig = field(default_factory=PushConfig)
    metadata: MetadataConfig = field(default_factory=MetadataConfig)
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)
    web: WebConfig = field(default_factory=WebConfig)
    log: LogConfig = field(default_factory=LogConfig)

    @property
    def address_domain(self) -> str:
        """What stands behind the `@`: the domain itself, or `[192.0.2.1]` / `[IPv6:…]` for an IP address."""
        raise NotImplementedError


def parse_config(text: str) -> Config:
    """Parse TOML. Raises `ConfigError` with one sentence: the key, what is wrong, what to write instead."""
    raise NotImplementedError
