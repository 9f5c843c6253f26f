"""A machine for the wizard to look at and install on, that is not there: real values, told by the test.

`FakeDoor` answers what `chatmail.api` would. Work can be held at a gate, to look at a screen while it works:

    door.hold("install")  …  door.release("install")
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from threading import Event

from chatmail import api
from chatmail.dns.compare import compare
from chatmail.dns.records import RelayFacts, required_records
from chatmail.installation import findings
from chatmail.installation.checkup import DoctorCheck, DoctorState
from chatmail.installation.findings import PortOwner, PreflightCheck
from chatmail.installation.firewall import Firewall
from chatmail.installation.places import Places
from chatmail.installation.plan import make_plan
from chatmail.installation.preflight import judge_firewall

DOMAIN = "chat.example.net"
ADDRESS = "203.0.113.5"
PORTS = [25, 80, 143, 443, 465, 587, 993]
COMMAND = "python3 chatmail.pyz"
NOTHING_INSTALLED = api.InstalledState(False, False, "", "", (), False, False, None, None)
_NOWHERE = Path("/nowhere")
_UNTIL = datetime(2027, 2, 23, 12, tzinfo=UTC)
# A key of the real length; nobody has its other half.
_KEY = bytes(range(256)) + bytes(38)


def fine_checks() -> list[PreflightCheck]:
    """What a good machine is found to be."""
    return [
        findings.judge_root(True, COMMAND),
        findings.judge_systemd(True, 252),
        findings.judge_architecture("x86_64"),
        findings.judge_python((3, 11), "/usr/bin/python3"),
        findings.judge_memory(2 * 1024**3),
        findings.judge_disk(30 * 1024**3),
        findings.judge_clock(datetime(2026, 11, 25, 9, 30, tzinfo=UTC), True),
        findings.judge_existing("", True, "", False),
        *findings.judge_ports(PORTS, []),
        findings.judge_others([]),
        judge_firewall(Firewall.NONE),
        findings.judge_nat([ip_address("8.8.8.8")]),
        findings.judge_address(4, ip_address(ADDRESS), True),
        findings.judge_address(6, ip_address("2001:db8::5"), True),
        findings.judge_outgoing_mail(True, "nine.testrun.org"),
    ]


def poor_checks() -> list[PreflightCheck]:
    """A machine with a firewall, without IPv6, and with port 25 shut at the provider."""
    changed = {
        "firewall": judge_firewall(Firewall.UFW),
        "IPv6": findings.judge_address(6, None, None),
        "outgoing port 25": findings.judge_outgoing_mail(False, "nine.testrun.org"),
    }
    return [changed.get(check.name, check) for check in fine_checks()]


def stopping_checks() -> list[PreflightCheck]:
    """Started without root, where Postfix has port 25."""
    changed = {"root": findings.judge_root(False, COMMAND), "other servers": findings.judge_others(["postfix.service"])}
    checks = [changed.get(check.name, check) for check in fine_checks() if check.name != "ports"]
    return checks + findings.judge_ports(PORTS, [PortOwner(25, "master (pid 812)", "postfix.service")])


def well_tested() -> list[DoctorCheck]:
    """What `doctor` says where all is well."""
    said = {
        "unit": "The server runs, and comes back with the machine.",
        "control socket": "The server answers.",
        "clock": "The clock shows 2026-11-25 09:31 UTC and is kept right.",
        "disk": "29.6 GiB are free for /var/lib/chatmail.",
        "ports": "All ports answer: 25, 80, 143, 443, 465, 587, 993.",
        "certificate": f"Trusted, for {DOMAIN}, until 2027-02-23.",
        "ALPN": "Port 443 speaks HTTP, IMAP and SMTP.",
        "web page": "The page answers.",
        "DNS": "All records are right.",
        "DKIM": "The published key is the one this server signs with.",
        "open relay": "Mail for others is refused.",
    }
    checks = [DoctorCheck(name, DoctorState.OK, sentence) for name, sentence in said.items()]
    message = "An encrypted message between two fresh accounts took 12 ms."
    return [*checks, DoctorCheck("message", DoctorState.OK, message, seconds=0.0123)]


def badly_tested() -> list[DoctorCheck]:
    """The same with a record missing and a port shut."""
    changed = {
        "ports": DoctorCheck("ports", DoctorState.FAILED, "25 does not answer.", "Let it in at your firewall."),
        "DNS": DoctorCheck("DNS", DoctorState.WARNING, "All required records are right; 2 recommended ones are not."),
    }
    return [changed.get(check.name, check) for check in well_tested()]


@dataclass
class FakeDoor:
    """Change its fields to change what the wizard meets; `remembered` and `saved` are what it left."""

    checks: list[PreflightCheck] = field(default_factory=fine_checks)
    state: api.InstalledState = NOTHING_INSTALLED
    addresses: tuple[str, ...] = (ADDRESS,)
    command: str = f"sudo {COMMAND}"
    leads_to: str = ADDRESS
    right_records: int = 0
    """So many of the records are right, from the top; the one after them differs, the rest is missing."""
    old_values: tuple[str, ...] = ()
    """What resolvers remember of the first record, where that is not what its name server says."""
    dns_error: str = ""
    refusal: tuple[str, str] | None = None
    certificate_found: bool = False
    looked_for_certificate: bool = False
    plan_error: str = ""
    install_error: api.InstallError | None = None
    tests: list[DoctorCheck] = field(default_factory=well_tested)
    remembered: list[tuple[api.Answers, str]] = field(default_factory=list)
    asked_for: list[api.Answers] = field(default_factory=list)
    installed: list[api.Plan] = field(default_factory=list)
    begun: bool = False
    _gates: dict[str, Event] = field(default_factory=dict)

    def hold(self, name: str) -> None:
        """Let work called `name` wait in its middle."""
        self._gates[name] = Event()

    def release(self, name: str) -> None:
        """Let it go on."""
        self._gates[name].set()

    def _pass(self, name: str) -> None:
        if name in self._gates:
            assert self._gates[name].wait(20), f"nobody released {name}"

    # --- what the wizard calls ----------------------------------------------------------------------------------

    def installed_state(self) -> api.InstalledState:
        return self.state

    def preflight(self, options: api.PreflightOptions | None = None) -> Iterator[PreflightCheck]:
        middle = len(self.checks) // 2
        yield from self.checks[:middle]
        self._pass("preflight")
        yield from self.checks[middle:]

    def own_addresses(self) -> tuple[str, ...]:
        return self.addresses

    def start_command(self, *, arguments: bool = True) -> str:
        return f"{self.command} install" if arguments else self.command

    def as_typed(self, command: str) -> str:
        return f"sudo {command}"

    def resolve_now(
        self, domain: str, resolvers: Sequence[str] = (), own_addresses: Sequence[str] = ()
    ) -> api.Resolution:
        self._pass("resolve")
        if not self.leads_to:
            return api.Resolution(domain, (), False, f"{domain} does not exist in the DNS yet.")
        here = self.leads_to in self.addresses
        where = "this machine" if here else "another machine"
        return api.Resolution(domain, (self.leads_to,), here, f"{domain} leads to {self.leads_to}: {where}.")

    def remember(self, answers: api.Answers, step: str = "", name_style: str = "") -> None:
        self.remembered.append((answers, step))
        self.state = replace(self.state, name_style=name_style)

    def dns_records(self, answers: api.Answers, own_addresses: Sequence[str] = ()) -> api.DnsRecords:
        self._pass("dns")
        config = api.config_of(answers)
        addresses = tuple(map(ip_address, own_addresses or self.addresses))
        facts = RelayFacts(addresses, _KEY, "letsencrypt.org")
        note = "" if addresses else "This machine knows no public address of its own: add A and AAAA records."
        return api.DnsRecords(answers.mail_domain, required_records(config, facts), note)

    def check_dns(self, records: api.DnsRecords, resolvers: Sequence[str] = ()) -> api.DnsReport:
        self._pass("check")
        if self.dns_error:
            raise api.OperatorError(self.dns_error)
        return api.DnsReport(tuple(self._checked(n, record) for n, record in enumerate(records.records)))

    def _checked(self, number: int, record: api.DnsRecord) -> api.RecordCheck:
        found: tuple[str, ...] = ()
        if number < self.right_records:
            found = (record.value,)
        elif number == self.right_records:
            found = ("198.51.100.9",) if record.type in ("A", "AAAA") else ("10 mail.elsewhere.example.",)
        state, advice = compare(record, found)
        public = self.old_values if number == 0 and self.old_values else found
        return api.RecordCheck(record, state, found, advice, public)

    def save_zone(self, records: api.DnsRecords, path: str) -> str:
        return api.save_zone(records, path)

    def certificate_in_use(self, answers: api.Answers) -> api.ObtainedCertificate:
        self._pass("found")
        self.looked_for_certificate = True
        return api.ObtainedCertificate("acme", (answers.mail_domain,), _UNTIL, self.certificate_found)

    def obtain_certificate(
        self, answers: api.Answers, on_step: Callable[[str], None] = lambda _text: None
    ) -> api.ObtainedCertificate:
        self.asked_for.append(answers)
        if answers.tls_mode != "acme":
            on_step("make or read the certificate")
        for step in api.CERTIFICATE_STEPS if answers.tls_mode == "acme" else ():
            on_step(step)
            if step == "prove that the name is ours":
                self._pass("certificate")
            if self.refusal is not None and step == self.refusal[0]:
                raise api.CertificateRefusedError(*self.refusal)
        return api.ObtainedCertificate(answers.tls_mode, (answers.mail_domain,), _UNTIL, answers.tls_mode == "acme")

    def plan(self, answers: api.Answers) -> api.Plan:
        self._pass("plan")
        if self.plan_error:
            raise api.OperatorError(self.plan_error)
        made = make_plan(answers, Places(_NOWHERE), Path("/root/chatmail.pyz"), "/usr/bin/python3")
        action = api.Action.KEEP if self.state.complete else api.Action.CREATE
        items = [replace(one, name=one.name.removeprefix(str(_NOWHERE)), action=action) for one in made.items]
        return replace(made, items=tuple(items))

    def install(self, plan: api.Plan, on_step: Callable[[api.StepReport], None] = lambda _report: None) -> bool:
        total = len(api.INSTALL_STEPS)
        self.begun = True
        for number, (name, sentence) in enumerate(api.INSTALL_STEPS.items(), start=1):
            report = api.StepReport(name, number, total, sentence, api.StepState.WORKING)
            on_step(report)
            if name == "configuration":
                self._pass("install")
            if self.install_error is not None and name == self.install_error.step:
                on_step(replace(report, state=api.StepState.FAILED))
                raise self.install_error
            on_step(replace(report, state=api.StepState.DONE))
        self.begun = False
        self.installed.append(plan)
        return True

    def left_behind(self) -> api.LeftBehind:
        return api.LeftBehind.RESUMABLE if self.begun or self.remembered else api.LeftBehind.PREVIOUS

    def doctor(self, config: api.Config, *, ca_file: str = "") -> Iterator[DoctorCheck]:
        middle = len(self.tests) // 2
        yield from self.tests[:middle]
        self._pass("doctor")
        yield from self.tests[middle:]
