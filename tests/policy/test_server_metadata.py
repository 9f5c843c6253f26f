import base64
import hashlib
import hmac
from datetime import UTC, datetime

from chatmail.config import Config, MailConfig, MetadataConfig, PrivacyConfig
from chatmail.policy.server_metadata import parse_device_token, shared_metadata, turn_credentials

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_bare_server_announces_its_recipient_limit_and_nothing_else() -> None:
    assert shared_metadata(Config("example.org"), NOW) == {"/shared/vendor/deltachat/maxsmtprecipients": "1000"}


def test_configured_values_are_announced() -> None:
    config = Config(
        "example.org",
        mail=MailConfig(max_recipients=77),
        metadata=MetadataConfig(admin="mailto:a@example.org", comment="hello", irohrelay="https://iroh.example.org"),
    )
    assert shared_metadata(config, NOW) == {
        "/shared/comment": "hello",
        "/shared/admin": "mailto:a@example.org",
        "/shared/vendor/deltachat/irohrelay": "https://iroh.example.org",
        "/shared/vendor/deltachat/maxsmtprecipients": "77",
    }


def test_the_operators_address_is_a_uri_and_may_come_from_the_privacy_page() -> None:
    for metadata, privacy, told in (
        (MetadataConfig(admin="a@example.org"), PrivacyConfig(), "mailto:a@example.org"),
        (MetadataConfig(), PrivacyConfig(mail="p@example.org"), "mailto:p@example.org"),
        (MetadataConfig(admin="https://example.org/@me"), PrivacyConfig(mail="p@x.org"), "https://example.org/@me"),
    ):
        config = Config("example.org", metadata=metadata, privacy=privacy)
        assert shared_metadata(config, NOW)["/shared/admin"] == told


def test_versions_of_apps_are_passed_on_as_they_are() -> None:
    config = Config("example.org", metadata=MetadataConfig(appversions='{"clients": []}'))
    assert shared_metadata(config, NOW)["/shared/vendor/deltachat/appversions"] == '{"clients": []}'


def test_turn_credentials_are_the_expiry_and_its_hmac() -> None:
    value = turn_credentials(MetadataConfig(turn_host="turn.example.org", turn_secret="s3cret"), NOW)
    host, port, expiry, password = value.split(":", 3)
    assert (host, port) == ("turn.example.org", "3478")
    assert int(expiry) - NOW.timestamp() == 5 * 24 * 3600
    expected = hmac.new(b"s3cret", expiry.encode(), hashlib.sha1).digest()
    assert base64.b64decode(password) == expected


def test_without_host_or_secret_there_are_no_turn_credentials() -> None:
    assert turn_credentials(MetadataConfig(turn_host="turn.example.org"), NOW) == ""
    assert turn_credentials(MetadataConfig(turn_secret="s3cret"), NOW) == ""


def test_device_tokens_are_printable_ascii_of_bounded_length() -> None:
    assert parse_device_token(b"openpgp:AAAA==") == "openpgp:AAAA=="
    assert parse_device_token(b"x" * 4096) == "x" * 4096
    for bad in (b"", b"x" * 4097, b"a b", b"a\r\nb", "tokén".encode(), b"a\0"):
        assert parse_device_token(bad) is None
