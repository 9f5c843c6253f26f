"""Where the server is looked at, when its name leads here, nowhere, elsewhere, or still elsewhere for some."""

import pytest

from chatmail.config import parse_config
from chatmail.installation.checkup import DoctorState
from chatmail.installation.doctor_address import find_server, judge_address

DOMAIN, OWN, OTHER, INSIDE = "chat.example.org", "203.0.113.5", "203.0.113.6", "10.0.0.2"
OK, WARNING, FAILED = DoctorState.OK, DoctorState.WARNING, DoctorState.FAILED


@pytest.mark.parametrize(
    ("seen", "published", "own", "answering", "looked_at", "state", "said"),
    [
        ([OWN], [OWN], [OWN], [], (OWN,), OK, f"leads to {OWN}."),
        ([OTHER], [OTHER], [], [], (OTHER,), OK, f"leads to {OTHER}."),  # behind a NAT
        ([], [], [OWN], [], (OWN,), WARNING, "leads nowhere yet"),
        ([], [], [], [], (INSIDE,), WARNING, "leads nowhere yet"),
        ([OTHER], [OWN], [OWN], [], (OWN,), WARNING, f"still say that {DOMAIN} is at {OTHER}"),
        ([OTHER], [OTHER], [OWN], [OTHER], (OTHER,), OK, "is not this machine, and answers"),
        ([OTHER], [OTHER], [OWN], [], (OWN,), FAILED, f"this machine is {OWN}"),
        ([OTHER], [], [OWN], [], (OWN,), FAILED, "where no server of this kind answers"),
    ],
)
def test_an_address_that_is_not_this_machine_is_told_once_and_not_by_every_port(
    seen: list[str],
    published: list[str],
    own: list[str],
    answering: list[str],
    looked_at: tuple[str, ...],
    state: DoctorState,
    said: str,
) -> None:
    reach = judge_address(DOMAIN, seen, published, own, own or [INSIDE], answering.__contains__)
    assert (reach.addresses, reach.check.state) == (looked_at, state)
    assert said in reach.check.sentence


def test_a_server_without_a_name_is_looked_at_by_its_address() -> None:
    reach = find_server(parse_config(f'mail_domain = "{OWN}"'))
    assert (reach.addresses, reach.check.state) == ((OWN,), DoctorState.SKIPPED)
