"""The autoconfig document, by which clients learn hosts and ports from the domain of an address.

The format is Thunderbird's `config-v1.1.xml`. Listeners that are off are left out. Port 443 is listed with the others:
clients reach IMAP and submission there by ALPN.
"""

from typing import Final
from xml.sax.saxutils import escape

from chatmail.config import Config, ListenConfig

AUTOCONFIG_PATHS: Final = ("/.well-known/autoconfig/mail/config-v1.1.xml", "/mail/config-v1.1.xml")

_DOCUMENT: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
  <emailProvider id="{domain}">
    <domain>{domain}</domain>
    <displayName>{domain}</displayName>
    <displayShortName>{domain}</displayShortName>
{servers}  </emailProvider>
</clientConfig>
"""
_SERVER: Final = """\
    <{element}Server type="{protocol}">
      <hostname>{host}</hostname>
      <port>{port}</port>
      <socketType>{security}</socketType>
      <authentication>password-cleartext</authentication>
      <username>%EMAILADDRESS%</username>
    </{element}Server>
"""


def imap_ports(listen: ListenConfig) -> list[tuple[int, str]]:
    """Where IMAP is reached: port and socket type, best first."""
    return _ports((listen.imaps, "SSL"), (listen.imap, "STARTTLS"), (listen.https, "SSL"))


def smtp_ports(listen: ListenConfig) -> list[tuple[int, str]]:
    """Where mail is submitted: port and socket type, best first."""
    return _ports((listen.submissions, "SSL"), (listen.submission, "STARTTLS"), (listen.https, "SSL"))


def _ports(*choices: tuple[int, str]) -> list[tuple[int, str]]:
    return [(port, security) for port, security in choices if port]


def autoconfig_xml(config: Config) -> bytes:
    """The whole document."""
    host = escape(config.mail_domain)
    choices = [("incoming", "imap", *choice) for choice in imap_ports(config.listen)]
    choices += [("outgoing", "smtp", *choice) for choice in smtp_ports(config.listen)]
    servers = "".join(
        _SERVER.format(element=element, protocol=protocol, host=host, port=port, security=security)
        for element, protocol, port, security in choices
    )
    return _DOCUMENT.format(domain=host, servers=servers).encode()
