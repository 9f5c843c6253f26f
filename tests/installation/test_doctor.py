"""The checks of a running server, against the built file running on an address of its own, and against nobody."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import pytest

from chatmail.config import Config
from chatmail.control_protocol import socket_path
from chatmail.installation import doctor_network as network
from chatmail.installation.checkup import DoctorCheck, DoctorReport, DoctorState, check_as_text, report_as_dict, summary
from chatmail.installation.doctor import as_it_is, check_control, check_disk, check_dns, invite
from chatmail.installation.doctor_message import check_message
from chatmail.installation.doctor_network import Target
from chatmail.net.control_client import ask_server
from chatmail.try_relay import try_config
from tests.support.relay import TryRelay

OK, WARNING, FAILED, SKIPPED = DoctorState.OK, DoctorState.WARNING, DoctorState.FAILED, DoctorState.SKIPPED


@pytest.fixture(scope="module")
def config(pyz: Path, loopback_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    data = tmp_path_factory.mktemp("doctor") / "data"
    with TryRelay(pyz, loopback_address, data):
        yield try_config(loopback_address, 8000, data)


@pytest.fixture
def target(config: Config) -> Target:
    return Target(config, (config.mail_domain,))


def test_a_healthy_server_passes_every_look_from_outside(target: Target) -> None:
    now = datetime.now(UTC)
    checks = [*network.check_ports(target), *network.check_tls(target, now), network.check_alpn(target)]
    checks += [network.check_web(target), network.check_open_relay(target), check_control(target.config)]
    assert {check.state for check in checks} == {OK}, [check_as_text(check) for check in checks]
    assert len(checks) >= 11


def test_a_message_goes_from_one_fresh_account_to_another_and_both_are_given_to_remove(target: Target) -> None:
    removed: list[str] = []

    def remove(address: str) -> str:
        removed.append(address)
        return ""

    check = check_message(target, Random(1), remove)
    assert check.state is OK and check.seconds is not None and check.seconds < 1, check
    assert len(set(removed)) == 2


def test_accounts_that_cannot_be_removed_are_told(target: Target) -> None:
    check = check_message(target, Random(2), lambda _address: "Not today.")
    assert check.state is WARNING and check.sentence.endswith("could not be removed: Not today.")


def test_where_nobody_may_register_no_message_is_sent(target: Target) -> None:
    closed = replace(target.config, accounts=replace(target.config.accounts, registration="closed"))
    assert check_message(replace(target, config=closed), Random(3), lambda _address: "").state is SKIPPED


def test_where_people_are_invited_the_check_invites_itself(target: Target) -> None:
    path, gone = socket_path(target.config), list[str]()

    def remove(address: str) -> str:
        ask_server(path, "account delete", {"address": address})
        gone.append(address)
        return ""

    ask_server(path, "registration invite-only")
    try:
        invited = as_it_is(target)
        assert invited.config.accounts.registration == "invite"
        check = check_message(invited, Random(5), remove, None, partial(invite, target.config))
    finally:
        ask_server(path, "registration open")
    assert check.state is OK and len(set(gone)) == 2, check
    assert [row["uses_left"] for row in ask_server(path, "registration invites")] == [0], "nobody else can use it"


def test_a_machine_that_is_short_of_something_is_no_fault_of_the_server(target: Target) -> None:
    check = check_message(target, Random(4), lambda _address: "", "cpu")
    assert check.state is WARNING and "short of CPU time" in check.sentence


def test_a_certificate_that_ends_soon_or_names_somebody_else_is_told(target: Target) -> None:
    late = datetime.now(UTC) + timedelta(days=36490)
    assert [check.state for check in network.check_tls(target, late)] == [OK, WARNING]
    expired = datetime.now(UTC) + timedelta(days=36600)
    assert [check.state for check in network.check_tls(target, expired)] == [OK, FAILED]
    other = replace(target, config=replace(target.config, mail_domain="192.0.2.99"))
    *_, certificate = network.check_tls(other, datetime.now(UTC))
    assert "does not name 192.0.2.99" in certificate.sentence


def test_a_name_that_leads_here_and_is_not_in_the_certificate_is_told(target: Target) -> None:
    *_, certificate = network.check_tls(replace(target, further_names=("mta-sts.example.net",)), datetime.now(UTC))
    assert certificate.state is WARNING and "does not name mta-sts.example.net" in certificate.sentence


def test_an_untrusted_certificate_fails_where_a_trusted_one_was_asked_for(target: Target) -> None:
    config = replace(target.config, tls=replace(target.config.tls, mode="acme"))
    check = next(iter(network.check_tls(replace(target, config=config), datetime.now(UTC))))
    assert check.state is FAILED and "not accepted" in check.sentence


def test_nobody_there_is_a_failure_with_a_remedy_and_no_exception(free_loopback_address: str, tmp_path: Path) -> None:
    config = try_config(free_loopback_address, 8000, tmp_path)
    target = Target(config, (free_loopback_address,))
    now = datetime.now(UTC)
    checks = [*network.check_ports(target), *network.check_tls(target, now), network.check_alpn(target)]
    checks += [network.check_web(target), network.check_open_relay(target), check_control(config)]
    checks.append(check_message(target, Random(4), lambda _address: ""))
    assert {check.state for check in checks} == {FAILED}
    assert all(check.remedy and "\n" not in check.sentence for check in checks)


def test_a_disk_with_less_than_the_guard_asks_for_fails(target: Target) -> None:
    config = replace(target.config, limits=replace(target.config.limits, min_free_disk_space=1 << 60))
    assert check_disk(target.config).state is OK
    assert check_disk(config).state is FAILED


def test_a_server_known_by_its_address_has_no_dns_to_check(target: Target) -> None:
    assert [check.state for check in check_dns(target.config)] == [SKIPPED]


def test_a_report_sums_up_for_people_and_programs() -> None:
    fine = DoctorCheck("disk", OK, "Plenty.")
    warned = DoctorCheck("clock", WARNING, "Nobody keeps it.", "Keep it.")
    wrong = DoctorCheck("port 25", FAILED, "Nobody answers.", "Open it.", 0.5)
    assert summary(DoctorReport((fine,))) == "All is well."
    assert summary(DoctorReport((fine, warned))) == "All is well, with 1 warning."
    report = DoctorReport((fine, warned, wrong))
    assert summary(report) == "Something is wrong: port 25."
    assert check_as_text(warned).splitlines() == ["WARNING clock: Nobody keeps it.", "        Keep it."]
    found = json.loads(json.dumps(report_as_dict(report)))
    assert found["ok"] is False
    assert found["checks"][2] == {
        "name": "port 25",
        "state": "failed",
        "sentence": "Nobody answers.",
        "remedy": "Open it.",
        "seconds": 0.5,
    }
