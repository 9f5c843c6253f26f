"""What is said of a machine, from facts alone."""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from chatmail.installation import findings
from chatmail.installation.findings import PortOwner, PreflightCheck, PreflightState
from chatmail.installation.firewall import Firewall, firewall_commands, guards_input, open_ports

OK, WARNING, STOP = PreflightState.OK, PreflightState.WARNING, PreflightState.STOP
NOW = datetime(2026, 12, 1, tzinfo=UTC)
PRIVATE, PUBLIC = ip_address("10.0.0.2"), ip_address("8.8.8.8")


@pytest.mark.parametrize(
    ("check", "state"),
    [
        (findings.judge_root(True, ""), OK),
        (findings.judge_root(False, "python3 chatmail.pyz install"), STOP),
        (findings.judge_systemd(True, 252), OK),
        (findings.judge_systemd(True, 240), STOP),
        (findings.judge_systemd(False, 0), STOP),
        (findings.judge_architecture("aarch64"), OK),
        (findings.judge_architecture("riscv64"), STOP),
        (findings.judge_python((3, 13), "/usr/bin/python3"), OK),
        (findings.judge_python((3, 10), "/usr/bin/python3"), STOP),
        (findings.judge_python((3, 13), "/home/me/python3"), STOP),
        (findings.judge_memory(1 << 30), OK),
        (findings.judge_memory(300 << 20), WARNING),
        (findings.judge_memory(100 << 20), STOP),
        (findings.judge_disk(10 << 30), OK),
        (findings.judge_disk(1 << 30), WARNING),
        (findings.judge_disk(100 << 20), STOP),
        (findings.judge_clock(NOW, True), OK),
        (findings.judge_clock(NOW, False), WARNING),
        (findings.judge_clock(NOW, None), WARNING),
        (findings.judge_clock(datetime(1970, 1, 1, tzinfo=UTC), True), STOP),
        (findings.judge_others([]), OK),
        (findings.judge_others(["postfix.service"]), WARNING),
        (findings.judge_outgoing_mail(True, "relay.example"), OK),
        (findings.judge_outgoing_mail(False, "relay.example"), WARNING),
        (findings.judge_outgoing_mail(None, ""), OK),
        (findings.judge_address(4, PUBLIC, True), OK),
        (findings.judge_address(4, PUBLIC, None), OK),
        (findings.judge_address(4, PUBLIC, False), WARNING),
        (findings.judge_address(6, None, None), WARNING),
        (findings.judge_nat([PUBLIC]), OK),
        (findings.judge_nat([PRIVATE]), WARNING),
        (findings.judge_nat([]), OK),
        (findings.judge_existing("", True, "", False), OK),
        (findings.judge_existing("chat.example.net", True, "1.0", True), OK),
        (findings.judge_existing("chat.example.net", True, "1.0", False), WARNING),
        (findings.judge_existing("chat.example.net", False, "1.0", False), WARNING),
    ],
)
def test_each_finding_is_one_sentence_and_trouble_comes_with_its_remedy(
    check: PreflightCheck, state: PreflightState
) -> None:
    assert check.state is state
    assert check.sentence.endswith(".") and "\n" not in check.sentence
    assert check.remedy or state is OK


def test_who_is_not_root_gets_the_exact_command() -> None:
    assert findings.judge_root(False, "python3 chatmail.pyz").remedy == "Run: sudo python3 chatmail.pyz"


def test_a_taken_port_names_its_owner_and_how_to_end_it() -> None:
    owners = [PortOwner(25, "master (pid 7)", "postfix.service"), PortOwner(80, "python3 (pid 9)", "")]
    mail, web = findings.judge_ports([25, 80, 443], owners)
    assert (mail.name, mail.state) == ("port 25", STOP)
    assert mail.remedy.endswith("systemctl disable --now postfix.service")
    assert "End python3 (pid 9)" in web.remedy


def test_ports_that_our_own_server_has_are_no_trouble() -> None:
    (check,) = findings.judge_ports([25, 80], [PortOwner(25, "python3 (pid 7)", "chatmail.service")])
    assert check.state is OK


NFTABLES = """\
table inet filter {
	chain forward {
		type filter hook forward priority filter; policy drop;
	}
	chain input {
		type filter hook input priority filter; policy %s;
		iif "lo" accept
		%s
	}
}
"""


@pytest.mark.parametrize(
    ("ruleset", "guarded"),
    [
        ("", False),
        (NFTABLES % ("accept", ""), False),
        (NFTABLES % ("drop", ""), True),
        (NFTABLES % ("accept", "reject"), True),
        (NFTABLES % ("accept", "tcp dport 25 drop"), True),
    ],
)
def test_a_rule_set_guards_if_its_input_chain_may_drop(ruleset: str, guarded: bool) -> None:
    assert guards_input(ruleset) is guarded


def test_the_commands_for_a_firewall_name_every_port() -> None:
    ports = open_ports()
    assert [row.port for row in ports] == [25, 80, 143, 443, 465, 587, 993]
    assert firewall_commands(Firewall.UFW, ports) == ("ufw allow proto tcp to any port 25,80,143,443,465,587,993",)
    assert len(firewall_commands(Firewall.FIREWALLD, ports)) == len(ports) + 1
    (nft,) = firewall_commands(Firewall.NFTABLES, ports)
    assert "{ 25, 80, 143, 443, 465, 587, 993 }" in nft
    assert firewall_commands(Firewall.NONE, ports) == ()
