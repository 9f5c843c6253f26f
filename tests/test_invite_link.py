"""Links as clients parse them."""

from dataclasses import replace
from random import Random
from urllib.parse import parse_qs, urlsplit

import pytest

from chatmail.config import Config, parse_config
from chatmail.invite_link import (
    Credentials,
    accepts_dcaccount,
    dcaccount_link,
    dclogin_link,
    login_link,
    qr_png,
    qr_svg,
    qr_terminal,
    random_credentials,
    web_url,
)
from chatmail.mail.address import Address

CONFIG = Config("chat.example.org")


def test_made_up_names_and_passwords_are_what_the_server_itself_accepts() -> None:
    made = [random_credentials(Random(seed), CONFIG) for seed in range(50)]
    assert len({one.address for one in made}) == 50
    for one in made:
        address = Address.parse(one.address)
        assert address is not None and len(address.localpart) == 9 and address.localpart.isalnum()
        assert len(one.password) == 12 and one.password.isascii() and one.password.isalnum()


def test_a_longer_minimum_makes_longer_passwords() -> None:
    config = replace(CONFIG, accounts=replace(CONFIG.accounts, password_min_length=15))
    assert len(random_credentials(Random(1), config).password) == 18


@pytest.mark.parametrize(
    ("text", "works"),
    [
        ('mail_domain = "chat.example.org"', True),
        ('mail_domain = "_chat.test"', True),
        ('mail_domain = "192.0.2.1"', False),
        ('mail_domain = "8.8.8.8"', False),
        ('mail_domain = "chat.example.org"\n[tls]\nmode = "self-signed"', False),
        ('mail_domain = "chat.example.org"\n[listen]\nhttps = 8443', False),
    ],
)
def test_dcaccount_is_offered_where_a_client_can_use_it(text: str, works: bool) -> None:
    assert accepts_dcaccount(parse_config(text)) is works


def test_the_account_link_is_the_same_for_everybody() -> None:
    assert dcaccount_link(CONFIG) == "dcaccount:https://chat.example.org/new"


@pytest.mark.parametrize(
    ("domain", "https", "url"),
    [
        ("chat.example.org", 443, "https://chat.example.org/"),
        ("127.0.0.1", 8443, "https://127.0.0.1:8443/"),
        ("fd00::1", 443, "https://[fd00::1]/"),
    ],
)
def test_the_web_page_has_one_address(domain: str, https: int, url: str) -> None:
    assert web_url(replace(CONFIG, mail_domain=domain, listen=replace(CONFIG.listen, https=https))) == url


def test_a_password_of_any_characters_survives_the_link() -> None:
    password = 'a&b=c#d%e+f "g\\ü'
    link = dclogin_link(Credentials("someone@chat.example.org", password))
    assert link.startswith("dclogin:someone@chat.example.org?") and link.isascii()
    assert parse_qs(urlsplit(link).query) == {"p": [password], "v": ["1"]}


def test_with_implicit_tls_off_the_link_names_starttls() -> None:
    config = replace(CONFIG, listen=replace(CONFIG.listen, imaps=0, submissions=0))
    query = parse_qs(urlsplit(login_link(config, Credentials("a@b", "p"))).query)
    assert (query["ip"], query["is"], query["sp"], query["ss"]) == (["143"], ["starttls"], ["587"], ["starttls"])
    assert "ic" not in query


def test_with_all_mail_ports_off_the_link_names_port_443() -> None:
    listen = replace(CONFIG.listen, imap=0, imaps=0, submission=0, submissions=0)
    config = replace(CONFIG, listen=listen)
    query = parse_qs(urlsplit(login_link(config, Credentials("a@b", "p"))).query)
    assert (query["ip"], query["is"], query["sp"], query["ss"]) == (["443"], ["ssl"], ["443"], ["ssl"])


def test_with_a_protocol_off_the_link_says_nothing_of_it() -> None:
    config = replace(CONFIG, listen=replace(CONFIG.listen, submission=0, submissions=0, https=0))
    assert "sh=" not in login_link(config, Credentials("a@b", "p"))


def test_codes_are_drawn_for_the_web_and_the_terminal() -> None:
    link = dcaccount_link(CONFIG)
    assert b"<svg" in qr_svg(link) and qr_png(link).startswith(b"\x89PNG")
    plain, colored = qr_terminal(link), qr_terminal(link, colored=True)
    assert len({len(line) for line in plain.splitlines()}) == 1
    assert colored.count("\x1b[0m") == len(plain.splitlines())
