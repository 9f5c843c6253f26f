"""What `try` prepares and prints: a private server for trying out, without root, a domain or a configuration file.

It listens on one address, 127.0.0.1 or one of this machine in the local network, with all ports moved up by a base;
addresses are `name@[ADDRESS]`, the certificate is self-signed, and so the links carry hosts and ports. It sends nothing
to anybody: no push notifications, no mail to other servers.
"""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Final

from chatmail.config import Config, LimitsConfig, ListenConfig, PushConfig, TlsConfig
from chatmail.config_values import MAX_PORT
from chatmail.errors import ConfigError, OperatorError
from chatmail.invite_link import login_link, qr_terminal, random_credentials, web_url

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT_BASE: Final = 8000
MAX_PORT_BASE: Final = MAX_PORT - max(25, 80, 143, 443, 465, 587, 993)


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """`chatmail-try` in the user's data folder (XDG base directories)."""
    home = environment.get("HOME") or str(Path.home())
    return Path(environment.get("XDG_DATA_HOME") or Path(home, ".local", "share")) / "chatmail-try"


def try_config(host: str, port_base: int, data_dir: Path) -> Config:
    """The configuration of a server on the IP address `host`. Raises `ConfigError` if it cannot be one."""
    address = _usable_address(host)
    if not 0 <= port_base <= MAX_PORT_BASE:
        raise ConfigError(f"--port-base must be a whole number from 0 to {MAX_PORT_BASE}, and it is {port_base}.")
    defaults = ListenConfig()
    listen = ListenConfig(
        addresses=(address,),
        smtp=port_base + defaults.smtp,
        submission=port_base + defaults.submission,
        submissions=port_base + defaults.submissions,
        imap=port_base + defaults.imap,
        imaps=port_base + defaults.imaps,
        https=port_base + defaults.https,
        http=port_base + defaults.http,
    )
    return Config(
        mail_domain=address,
        data_dir=str(data_dir),
        listen=listen,
        tls=TlsConfig(mode="self-signed"),
        # A laptop that is busy or nearly full may still try it.
        limits=LimitsConfig(max_load_1m=0, min_available_memory=0, min_free_disk_space=0),
        push=PushConfig(notifier_url=""),
    )


def _usable_address(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ConfigError(f"--host must be an IP address of this machine, and {host!r} is none.") from None
    if address.is_unspecified or address.is_multicast or "%" in host:
        raise ConfigError(
            f"--host {host} is not the address of one machine; name the one this machine has in your network."
        )
    return str(address)


def prepare_data_dir(folder: Path) -> None:
    """Make the folders above the data folder. Raises `OperatorError`."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(
            f"The folder {folder.parent} cannot be made ({error.strerror}); name another data folder with --data."
        ) from None


def welcome(config: Config, rng: Random, *, encoding: str, colored: bool) -> str:
    """What `try` prints once it runs: where it is, and a fresh account as QR code and link, which comes last.

    `encoding` is the terminal's; one that has no block elements gets no code. `colored` draws the code for terminals
    of any background.
    """
    link = login_link(config, random_credentials(rng, config))
    blocks = [
        f"A private chatmail server runs on {config.mail_domain} until you press Ctrl-C.\n"
        f"Its data is in {config.data_dir}",
        f"Web page:  {web_url(config)}\n"
        "Everyone who opens it gets an account. The browser warns of the certificate; go on, it is the server's own.",
        "Scan this code with Delta Chat, or open the link below with it. It is one account; for a second phone\n"
        "open the web page.",
        _code(link, encoding, colored),
        link,
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _code(link: str, encoding: str, colored: bool) -> str:
    code = qr_terminal(link, colored=colored)
    try:
        code.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ""
    return code
