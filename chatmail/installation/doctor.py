"""`doctor`: checks the running installation from the outside in, at any time and without disturbing it.

Yields each check when it is made. It sends one message from a fresh account to another and removes both; otherwise it
only looks. It asks name servers and nobody else outside.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import SystemRandom

from chatmail.config import Config
from chatmail.config_values import GIB, is_ip_address
from chatmail.control_protocol import socket_path
from chatmail.dns.compare import CheckState
from chatmail.dns.records import RecordType
from chatmail.dns.report import DnsReport, is_propagating
from chatmail.errors import OperatorError
from chatmail.installation import doctor_network as network
from chatmail.installation import findings, naming
from chatmail.installation.checkup import DoctorCheck, DoctorState, of
from chatmail.installation.doctor_address import find_server
from chatmail.installation.doctor_message import check_message
from chatmail.installation.findings import PreflightCheck, PreflightState
from chatmail.installation.host import Host
from chatmail.installation.places import READ_LOG, UNIT
from chatmail.installation.preflight import clock_is_synchronized
from chatmail.net.control_client import ask_server
from chatmail.net.dns_answers import DnsFailureError, NoSuchDomainError
from chatmail.net.resolver import Resolver
from chatmail.system_load import new_account_guard, read_system_load

INVITATION_SECONDS = 600
"""How long what the check invites itself with is valid, should it not be used up."""
_Check = Callable[[], DoctorCheck | Iterable[DoctorCheck]]


def doctor(config: Config, host: Host, *, ca_file: str = "") -> Iterator[DoctorCheck]:
    """Every check in turn; `ca_file` holds further roots to trust. Takes seconds, more where ports do not answer."""
    reach = find_server(config)
    target = network.Target(config, reach.addresses, ca_file, further_names(config))
    remove = partial(_remove_account, config)
    checks: tuple[_Check, ...] = (
        lambda: check_unit(host),
        lambda: check_control(config),
        lambda: _as_doctor(findings.judge_clock(datetime.now(UTC), clock_is_synchronized(host))),
        lambda: check_disk(config),
        lambda: reach.check,
        lambda: network.check_ports(target),
        lambda: network.check_tls(target, datetime.now(UTC)),
        lambda: network.check_alpn(target),
        lambda: network.check_web(target),
        lambda: check_dns(config),
        lambda: network.check_open_relay(target),
        lambda: check_message(
            as_it_is(target), SystemRandom(), remove, new_account_guard(config)(), partial(invite, config)
        ),
    )
    for check in checks:
        found = check()
        if isinstance(found, DoctorCheck):
            yield found
        else:
            yield from found


def as_it_is(target: network.Target) -> network.Target:
    """With what was chosen at run time: who may have an account."""
    try:
        chosen = ask_server(socket_path(target.config), "registration status")["registration"]
    except OperatorError:
        return target
    accounts = replace(target.config.accounts, registration=chosen)
    return replace(target, config=replace(target.config, accounts=accounts))


def further_names(config: Config) -> tuple[str, ...]:
    """Those of `mta-sts.` and `www.` that lead where the server's own name leads."""
    if is_ip_address(config.mail_domain):
        return ()

    async def leading_here() -> tuple[str, ...]:
        resolver = Resolver(config.dns.resolvers, lifetime_seconds=5)
        own, *others = await asyncio.gather(*(_addresses(resolver, name) for name in names))
        return tuple(name for name, found in zip(names[1:], others, strict=True) if own & found)

    names = [config.mail_domain, *(f"{label}.{config.mail_domain}" for label in ("mta-sts", "www"))]
    try:
        return asyncio.run(leading_here())
    except DnsFailureError:
        return ()


async def _addresses(resolver: Resolver, name: str) -> set[str]:
    try:
        return set(await resolver.addresses(name))
    except (DnsFailureError, NoSuchDomainError):
        return set()


def check_unit(host: Host) -> DoctorCheck:
    """systemd runs it, and will after the next start of the machine."""
    if not Path("/run/systemd/system").is_dir():
        return DoctorCheck("unit", DoctorState.SKIPPED, "systemd does not run this machine.")
    wanted = ["--property=ActiveState", "--property=UnitFileState", "--property=NRestarts"]
    said = host.run(["systemctl", "show", UNIT, *wanted]).out
    state = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    if state.get("ActiveState") != "active":
        problem = [f"{UNIT} is {state.get('ActiveState', 'unknown')}"]
        return of("unit", problem, "", f"systemctl restart chatmail; then {READ_LOG}")
    if state.get("UnitFileState") != "enabled":
        sentence = "The server runs, but will not after the next start of the machine."
        return DoctorCheck("unit", DoctorState.WARNING, sentence, f"systemctl enable {UNIT}")
    if (restarts := state.get("NRestarts", "0")) != "0":
        sentence = f"The server runs, and was started again by systemd {restarts} times."
        return DoctorCheck("unit", DoctorState.WARNING, sentence, f"{READ_LOG} says why.")
    return DoctorCheck("unit", DoctorState.OK, "The server runs, and comes back with the machine.")


def check_control(config: Config) -> DoctorCheck:
    """It answers its operator."""
    try:
        status = ask_server(socket_path(config), "cert status")
    except OperatorError as error:
        return DoctorCheck("control socket", DoctorState.FAILED, str(error), f"See {READ_LOG}")
    if status.get("last_error"):
        sentence = f"The last attempt at a certificate failed: {status['last_error']}"
        return DoctorCheck("control socket", DoctorState.WARNING, sentence, "chatmail cert renew tries again.")
    return DoctorCheck("control socket", DoctorState.OK, "The server answers.")


def check_disk(config: Config) -> DoctorCheck:
    """More is free than the guard against new accounts asks for."""
    free, wanted = read_system_load(Path(config.data_dir)).free_disk_bytes, config.limits.min_free_disk_space
    shown = f"{free / GIB:.1f} GiB are free for {config.data_dir}"
    if free < wanted:
        return of("disk", [f"{shown}: no new accounts are made"], "", "Make some space, or rent a larger disk.")
    if free < 2 * wanted:
        return DoctorCheck("disk", DoctorState.WARNING, f"{shown}.", "Below that no new accounts are made soon.")
    return DoctorCheck("disk", DoctorState.OK, f"{shown}.")


def _as_doctor(check: PreflightCheck) -> DoctorCheck:
    states = {PreflightState.OK: DoctorState.OK, PreflightState.WARNING: DoctorState.WARNING}
    return DoctorCheck(check.name, states.get(check.state, DoctorState.FAILED), check.sentence, check.remedy)


# --- DNS ------------------------------------------------------------------------------------------------------------


def check_dns(config: Config) -> Iterator[DoctorCheck]:
    """The records, and apart from them the one for DKIM."""
    if not naming.needs_records(config):
        yield DoctorCheck("DNS", DoctorState.SKIPPED, "A server of this kind needs no DNS records.")
        return
    try:
        report = naming.check_records(naming.dns_records(config), config.dns.resolvers)
    except (OperatorError, DnsFailureError) as error:
        yield DoctorCheck("DNS", DoctorState.FAILED, str(error), "Check /etc/resolv.conf, or [dns] resolvers.")
        return
    yield _judge_dns(report)
    yield _judge_dkim(report, config.federation.dkim_selector)


def _judge_dns(report: DnsReport) -> DoctorCheck:
    remedy = "chatmail dns check says what is wanted and what was found."
    wrong = [c for c in report.checks if c.state is not CheckState.OK]
    required = [f"{c.record.type} {c.record.name} is {c.state}" for c in wrong if c.record.required]
    if required:
        return of("DNS", required, "", remedy)
    if wrong:
        sentence = f"All required records are right; {len(wrong)} recommended ones are not."
        return DoctorCheck("DNS", DoctorState.WARNING, sentence, remedy)
    if spreading := sum(map(is_propagating, report.checks)):
        sentence = f"All records are right at the source; {spreading} are not seen by everybody yet."
        return DoctorCheck("DNS", DoctorState.WARNING, sentence, "Wait up to an hour.")
    return DoctorCheck("DNS", DoctorState.OK, "All records are right.")


def _judge_dkim(report: DnsReport, selector: str) -> DoctorCheck:
    found = [c for c in report.checks if c.record.type is RecordType.TXT and c.record.name.startswith(f"{selector}._d")]
    if not found:
        return DoctorCheck("DKIM", DoctorState.SKIPPED, "This server signs nothing.")
    if found[0].state is CheckState.OK:
        return DoctorCheck("DKIM", DoctorState.OK, "The published key is the one this server signs with.")
    return of("DKIM", [f"the record is {found[0].state}: {found[0].advice.rstrip('.')}"], "", "chatmail dns records")


def invite(config: Config) -> str:
    """An invitation for the two accounts of the check; its token. Raises `OperatorError`."""
    invitation = {"uses": 2, "expires_in_seconds": INVITATION_SECONDS, "note": "doctor"}
    return str(ask_server(socket_path(config), "registration invite", invitation)["token"])


def _remove_account(config: Config, address: str) -> str:
    try:
        ask_server(socket_path(config), "account delete", {"address": address})
    except OperatorError as error:
        return str(error)
    return ""
