"""The autoconfig document."""

from xml.etree import ElementTree

from chatmail.config import Config, ListenConfig
from chatmail.web.autoconfig import autoconfig_xml


def _servers(config: Config, element: str) -> list[tuple[str | None, ...]]:
    root = ElementTree.fromstring(autoconfig_xml(config))
    fields = ("hostname", "port", "socketType", "authentication", "username")
    return [tuple(server.findtext(name) for name in fields) for server in root.iter(element)]


def test_all_ways_in_are_listed_with_implicit_tls_first() -> None:
    config = Config("chat.example.org")
    rest = ("password-cleartext", "%EMAILADDRESS%")
    assert _servers(config, "incomingServer") == [
        ("chat.example.org", "993", "SSL", *rest),
        ("chat.example.org", "143", "STARTTLS", *rest),
        ("chat.example.org", "443", "SSL", *rest),
    ]
    assert _servers(config, "outgoingServer") == [
        ("chat.example.org", "465", "SSL", *rest),
        ("chat.example.org", "587", "STARTTLS", *rest),
        ("chat.example.org", "443", "SSL", *rest),
    ]


def test_listeners_that_are_off_are_left_out() -> None:
    config = Config("chat.example.org", listen=ListenConfig(imap=0, submission=0, submissions=8465, https=8443))
    assert [server[1] for server in _servers(config, "incomingServer")] == ["993", "8443"]
    assert [server[1] for server in _servers(config, "outgoingServer")] == ["8465", "8443"]


def test_the_domain_is_named_as_the_provider() -> None:
    root = ElementTree.fromstring(autoconfig_xml(Config("chat.example.org")))
    provider = root.find("emailProvider")
    assert provider is not None
    assert (provider.get("id"), provider.findtext("domain")) == ("chat.example.org", "chat.example.org")
