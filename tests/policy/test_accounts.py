"""Which names and passwords become accounts."""

import pytest

from chatmail.config import AccountsConfig
from chatmail.mail.address import Address
from chatmail.policy.accounts import MAX_PASSWORD_BYTES, RESERVED_LOCALPARTS, CreationRefusal, check_new_account

PASSWORD = "p455w0rd-long-enough"
DEFAULT = AccountsConfig()
WIDE = AccountsConfig(username_min_length=1, username_max_length=64)


def check(localpart: str, password: str = PASSWORD, config: AccountsConfig = DEFAULT) -> CreationRefusal | None:
    return check_new_account(Address(localpart, "chat.example"), password, config)


@pytest.mark.parametrize("localpart", ["abcdefghi", "123456789", "a.b-c_d.e"])
def test_names_as_clients_invent_them_are_taken(localpart: str) -> None:
    assert check(localpart) is None


@pytest.mark.parametrize(
    "localpart", ["", "abcdefgh", "abcdefghij", "abcdefgh+", "abcdefghü", "abc/efghi", "ABCDEFGHI"]
)
def test_names_of_another_length_or_with_other_characters_are_refused(localpart: str) -> None:
    assert check(localpart) is CreationRefusal.INVALID_NAME


def test_the_range_of_lengths_is_as_configured() -> None:
    config = AccountsConfig(username_min_length=5, username_max_length=20)
    for length, refusal in (
        (4, CreationRefusal.INVALID_NAME),
        (5, None),
        (20, None),
        (21, CreationRefusal.INVALID_NAME),
    ):
        assert check("x" * length, config=config) is refusal


@pytest.mark.parametrize("localpart", sorted(RESERVED_LOCALPARTS))
def test_reserved_names_are_nobody_s_at_any_length_setting(localpart: str) -> None:
    assert check(localpart, config=WIDE) is CreationRefusal.RESERVED_NAME


def test_the_nine_letters_certificate_authorities_write_to_are_reserved() -> None:
    assert check("webmaster") is CreationRefusal.RESERVED_NAME


@pytest.mark.parametrize(
    "password", ["123456789", 'with blank "quote" \\ %', "пароль-из-букв", "x" * MAX_PASSWORD_BYTES]
)
def test_printable_passwords_of_every_script_are_taken(password: str) -> None:
    assert check("abcdefghi", password) is None


@pytest.mark.parametrize(
    "password", ["", "12345678", "x" * (MAX_PASSWORD_BYTES + 1), "1234567890\n", "123456789\0", "\udcff" * 9]
)
def test_short_unprintable_and_endless_passwords_are_refused(password: str) -> None:
    assert check("abcdefghi", password) is CreationRefusal.INVALID_PASSWORD


def test_registration_can_be_closed_or_by_invitation() -> None:
    assert check("abcdefghi", config=AccountsConfig(registration="closed")) is CreationRefusal.REGISTRATION_CLOSED
    assert check("abcdefghi", config=AccountsConfig(registration="invite")) is CreationRefusal.INVITATION_NEEDED
