import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatmail.mail.redaction import MAX_CHARACTERS, without_names


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("550 5.1.1 <bob.7@peer.example>: no such user", "550 5.1.1 <…>: no such user"),
        ("451 4.7.1 [192.0.2.77] greylisted, see http://x.example", "451 4.7.1 […] greylisted, see http://x.example"),
        ("554 2001:db8::1 is blocked", "554 … is blocked"),
        ("554 ::ffff:192.0.2.1 is blocked", "554 … is blocked"),
        ("552 <abc.def@peer.example> (Message-ID) seen before", "552 <…> (Message-ID) seen before"),
        ('550 "odd name"@peer.example unknown', '550 "odd name"… unknown'),
        ("450 4.2.1 try again in 5.0.0", "450 4.2.1 try again in 5.0.0"),
        ("421 line\r\nbreak\x1b[2J", "421 line  break [2J"),
        ("The other server cannot be reached", "The other server cannot be reached"),
    ],
)
def test_whoever_is_named_is_hidden_and_the_rest_stays(text: str, shown: str) -> None:
    assert without_names(text) == shown


@given(st.text())
@example("@")
@example("a@b@c d@")
@example("x" * 5000)
def test_no_address_and_no_control_character_is_left(text: str) -> None:
    shown = without_names(text)
    assert "@" not in shown
    assert shown.isprintable() and len(shown) <= MAX_CHARACTERS
    assert not re.search(r"(?<![\w.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w.])", shown)


@given(st.ip_addresses(), st.sampled_from(["{}", "[{}]", "<{}>", "from {} at", "({})", "{}:25"]))
def test_no_ip_address_is_left_in_the_frames_servers_use(address: object, frame: str) -> None:
    assert str(address) not in without_names(frame.format(address))
