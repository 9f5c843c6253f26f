"""Any argument of MAIL or RCPT gives an address or `PathError`; what is written comes back."""

from hypothesis import given
from hypothesis import strategies as st

from chatmail.mail.address import Address
from chatmail.mail.smtp_path import PathError, parse_mail, parse_rcpt

ARGUMENT = st.one_of(
    st.text(max_size=60), st.text("FROMTO:<>@.[]=-+ asize127\t\r\n\0ü", max_size=40).map("FROM:<{}".format)
)
LOCALPART = st.from_regex(r"[a-z0-9]{1,20}(\.[a-z0-9+_-]{1,10})?", fullmatch=True)
DOMAIN = st.from_regex(r"[a-z0-9]{1,12}(\.[a-z]{1,8}){0,2}", fullmatch=True)


@given(ARGUMENT)
def test_any_argument_is_parsed_or_refused_with_a_5xx(argument: str) -> None:
    for parse in (parse_mail, lambda text: parse_rcpt(text, smtp_utf8=True)):
        try:
            parse(argument)
        except PathError as error:
            assert error.reply.is_permanent


@given(LOCALPART, DOMAIN, st.integers(0, 10**12))
def test_what_is_written_comes_back(localpart: str, domain: str, size_bytes: int) -> None:
    address = Address(localpart, domain)
    parsed = parse_mail(f"FROM:<{address}> SIZE={size_bytes}")
    assert (parsed.address, parsed.size_bytes) == (address, size_bytes)
    assert parse_rcpt(f"TO:<{address}>", smtp_utf8=False) == address
