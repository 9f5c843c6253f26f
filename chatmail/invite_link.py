"""Links and QR codes that bring a phone to this server: `dcaccount:` and `dclogin:`.

Shared by the web page and by `try`. Pure: randomness is an argument. It makes credentials, never an account: the
account comes into being with its first login.

What a link may carry is what the client parses: `v`, `p`, `ih ip is` (IMAP host, port, security), `sh sp ss` (the
same for SMTP) and `ic` (3 = accept any certificate).
"""

import ipaddress
import string
from dataclasses import dataclass
from io import BytesIO, StringIO
from random import Random
from typing import Final
from urllib.parse import quote

from chatmail.config import Config

LOCALPART_LENGTH: Final = 9
"""Clients make up names of nine characters, so nine is always within the configured range."""
MIN_PASSWORD_LENGTH: Final = 12
"""Length of the passwords we make, where the configured minimum does not ask for more."""
_LOCALPART_LETTERS: Final = string.ascii_lowercase + string.digits
_PASSWORD_LETTERS: Final = string.ascii_letters + string.digits
_HTTPS_PORT: Final = 443
_QR_BORDER_MODULES: Final = 4
_ANSI_WHITE_ON_BLACK: Final = "\x1b[97;40m"
_ANSI_RESET: Final = "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An address with its password, not necessarily of an account that exists already."""

    address: str
    password: str


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where one protocol is reached; `security` is the client's word: `ssl` or `starttls`."""

    host: str
    port: int
    security: str


def random_credentials(rng: Random, config: Config) -> Credentials:
    """Make up an address and a password. Pass `random.SystemRandom()` for anything but a test."""
    localpart = "".join(rng.choices(_LOCALPART_LETTERS, k=LOCALPART_LENGTH))
    length = max(config.accounts.password_min_length + 3, MIN_PASSWORD_LENGTH)
    password = "".join(rng.choices(_PASSWORD_LETTERS, k=length))
    return Credentials(f"{localpart}@{config.address_domain}", password)


def imap_server(config: Config) -> MailServer | None:
    """Where clients reach IMAP, implicit TLS first, port 443 last; None if all are switched off."""
    return _server(config, config.listen.imaps, config.listen.imap)


def smtp_server(config: Config) -> MailServer | None:
    """Where clients submit mail, implicit TLS first, port 443 last; None if all are switched off."""
    return _server(config, config.listen.submissions, config.listen.submission)


def _server(config: Config, tls_port: int, starttls_port: int) -> MailServer | None:
    """On port 443 a client names its protocol by ALPN, so that it will do where both others are off."""
    if tls_port:
        return MailServer(config.mail_domain, tls_port, "ssl")
    if starttls_port:
        return MailServer(config.mail_domain, starttls_port, "starttls")
    return MailServer(config.mail_domain, config.listen.https, "ssl") if config.listen.https else None


def web_url(config: Config) -> str:
    """The address of the web page, ending in `/`; the port is named where it is not the usual one."""
    host = f"[{config.mail_domain}]" if ":" in config.mail_domain else config.mail_domain
    port = "" if config.listen.https == _HTTPS_PORT else f":{config.listen.https}"
    return f"https://{host}{port}/"


def accepts_dcaccount(config: Config) -> bool:
    """Whether a client can use `dcaccount:` here.

    It needs a domain (an address literal has no autoconfig), HTTPS on the usual port, and a certificate it trusts: for
    names that begin with `_` clients trust any.
    """
    trusted = config.tls.mode != "self-signed" or config.mail_domain.startswith("_")
    return trusted and config.listen.https == _HTTPS_PORT and not _is_ip_address(config.mail_domain)


def _is_ip_address(domain: str) -> bool:
    try:
        ipaddress.ip_address(domain)
    except ValueError:
        return False
    return True


def dcaccount_link(config: Config, invitation: str = "") -> str:
    """The link for everybody, or for whom it is given to: each client that opens it gets an account of its own."""
    return f"dcaccount:{invitation_url(config, invitation)}"


def invitation_url(config: Config, invitation: str = "") -> str:
    """Where an account is to be had by POST; `invitation` is the token, for a server that wants one."""
    return f"{web_url(config)}new" + (f"?t={quote(invitation, safe='')}" if invitation else "")


def dclogin_link(
    credentials: Credentials,
    imap: MailServer | None = None,
    smtp: MailServer | None = None,
    *,
    accept_invalid_certificates: bool = False,
) -> str:
    """The link for one account, with all a client needs to log in; without servers it asks autoconfig."""
    parameters = [("p", credentials.password), ("v", "1")]
    for prefix, server in (("i", imap), ("s", smtp)):
        if server is not None:
            parameters.append((f"{prefix}h", server.host))
            parameters.append((f"{prefix}p", str(server.port)))
            parameters.append((f"{prefix}s", server.security))
    if accept_invalid_certificates:
        parameters.append(("ic", "3"))
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in parameters)
    return f"dclogin:{quote(credentials.address, safe='@[]:')}?{query}"


def login_link(config: Config, credentials: Credentials) -> str:
    """`dclogin_link` with the hosts, ports and certificate rule of this server."""
    return dclogin_link(
        credentials,
        imap_server(config),
        smtp_server(config),
        accept_invalid_certificates=config.tls.mode == "self-signed",
    )


# segno is imported where a code is drawn: a server that shows none does not pay for it.


def qr_terminal(link: str, *, colored: bool = False) -> str:
    """The QR code for a terminal, two modules a character; `colored` sets white on black for light terminals too."""
    import segno

    out = StringIO()
    segno.make(link, error="l", micro=False).terminal(out, border=_QR_BORDER_MODULES // 2, compact=True)
    lines = out.getvalue().splitlines()
    if colored:
        lines = [f"{_ANSI_WHITE_ON_BLACK}{line}{_ANSI_RESET}" for line in lines]
    return "\n".join(lines)


def qr_svg(link: str) -> bytes:
    """The QR code as a stand-alone SVG document that scales with its box."""
    return _qr(link, "svg", {"omitsize": True, "xmldecl": True, "scale": 1})


def qr_png(link: str) -> bytes:
    """The QR code as a PNG picture, eight pixels a module."""
    return _qr(link, "png", {"scale": 8})


def _qr(link: str, kind: str, options: dict[str, object]) -> bytes:
    import segno

    out = BytesIO()
    segno.make(link, error="m", micro=False).save(out, kind=kind, border=_QR_BORDER_MODULES, **options)
    return out.getvalue()
