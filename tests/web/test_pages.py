"""The pages tell the truth of the configuration, and escape it."""

import re
from dataclasses import replace

from chatmail.config import Config, ListenConfig, LogConfig, MetadataConfig, PrivacyConfig, PushConfig
from chatmail.web.pages import Invitation, Pages

CONFIG = Config("chat.example.org")


def _text(page: bytes) -> str:
    """What a reader sees."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.decode()))


def test_the_front_page_offers_the_link_as_button_and_as_code() -> None:
    invitation = Invitation("dcaccount:https://chat.example.org/new", for_one_person=False)
    page = Pages(CONFIG).sign_up("en", "open", invitation, wait=False).decode()
    assert '<a class="button" href="dcaccount:https://chat.example.org/new">Open in Delta Chat</a>' in page
    assert 'role="img" aria-label="QR code that creates a profile on chat.example.org"' in page
    assert "<?xml" not in page
    assert page.count("<svg") == 1


def test_the_info_page_lists_only_open_ports() -> None:
    config = replace(CONFIG, listen=ListenConfig(imap=0, submission=0))
    text = _text(Pages(config).info("en", "open"))
    assert "Port 993, TLS" in text
    assert "Port 443, TLS with ALPN “smtp”" in text
    assert "143" not in text
    assert "STARTTLS" not in text


def test_the_info_page_names_limits_and_the_operators_words() -> None:
    config = replace(CONFIG, metadata=MetadataConfig(admin="mailto:root@example.org", comment="<b>be nice</b>"))
    page = Pages(config).info("en", "invite")
    assert "500 MB" in _text(page)
    assert "30 MB" in _text(page)
    assert "by invitation" in _text(page)
    assert b"&lt;b&gt;be nice&lt;/b&gt;" in page


def test_the_privacy_page_follows_the_settings() -> None:
    mail = replace(CONFIG.mail, delete_mails_after=5, delete_large_after=1)
    accounts = replace(CONFIG.accounts, delete_inactive_users_after=33)
    text = _text(Pages(replace(CONFIG, mail=mail, accounts=accounts)).privacy("en"))
    assert "after 5 days at the latest" in text
    assert "after 1 day at the latest" in text
    assert "not used for 33 days" in text
    assert "no IP addresses" in text
    assert "notifications.delta.chat" in text


def test_the_privacy_page_admits_a_debug_log_and_knows_when_push_is_off() -> None:
    text = _text(Pages(replace(CONFIG, log=LogConfig("debug"), push=PushConfig(""))).privacy("en"))
    assert "can hold mail addresses and IP addresses" in text
    assert "woken up" not in text


def test_the_privacy_page_names_the_contacts_that_are_set() -> None:
    config = replace(CONFIG, privacy=PrivacyConfig(postal="A. Person\n<1 Street>", mail="privacy@example.org"))
    page = Pages(config).privacy("en")
    assert b"&lt;1 Street&gt;" in page
    assert "privacy@example.org" in _text(page)
    assert "Supervisory authority" not in _text(page)
    assert "has not entered a contact" in _text(Pages(CONFIG).privacy("en"))
