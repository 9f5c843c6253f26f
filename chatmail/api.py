"""The one door for the installer and the dashboard to everything else: values, and functions that do the work.

All functions are synchronous and may be called from any thread; those that wait for the network or change the machine
say so. What goes wrong and a person can mend is an `OperatorError` whose `str()` is one sentence. The implementation is
in `chatmail.installation`; commands of `chatmail.cli` use the same functions.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from random import SystemRandom
from typing import Any

from chatmail import __version__ as VERSION
from chatmail.config import Config
from chatmail.config_file import read_config
from chatmail.dns.compare import CheckState, RecordCheck
from chatmail.dns.records import DnsRecord
from chatmail.dns.report import DnsReport, ReverseCheck, is_propagating
from chatmail.errors import ConfigError, OperatorError
from chatmail.installation import naming as _naming
from chatmail.installation import plan as _plan
from chatmail.installation import preflight as _preflight
from chatmail.installation import removal as _removal
from chatmail.installation import state as _state
from chatmail.installation import steps as _steps
from chatmail.installation.answers import (
    EXPLANATIONS,
    Answers,
    DomainAnswer,
    DomainKind,
    DomainProblem,
    validate_domain,
)
from chatmail.installation.certificate import CertificateRefusedError, ObtainedCertificate
from chatmail.installation.checkup import DoctorCheck, DoctorReport, DoctorState
from chatmail.installation.findings import PreflightCheck, PreflightState
from chatmail.installation.firewall import Firewall, OpenPort, firewall_commands, open_ports
from chatmail.installation.host import ThisHost
from chatmail.installation.naming import DnsRecords, RecordRendering, RenderedRecord, Resolution
from chatmail.installation.places import READ_LOG, Places
from chatmail.installation.plan import Action, Plan, PlannedItem
from chatmail.installation.preflight import PreflightOptions, as_typed, start_command
from chatmail.installation.preparing import (
    certificate_in_use,
    check_dns,
    config_of,
    dns_records,
    needs_dns_records,
    obtain_certificate,
    remember,
    save_zone,
)
from chatmail.installation.removal import RemovalPlan
from chatmail.installation.state import InstalledState
from chatmail.installation.steps import STEPS as _STEPS
from chatmail.installation.steps import InstallError, LeftBehind, StepReport, StepState
from chatmail.installation.watching import (
    RunningServer,
    ServerDown,
    ServerDownError,
    encode_down,
    find_server,
    read_history,
    read_history_of_month,
    read_log,
    read_status,
    read_status_json,
)
from chatmail.installation.watching import command as _command
from chatmail.installation.watching import why_down as _why_down
from chatmail.invite_link import (
    accepts_dcaccount,
    dcaccount_link,
    login_link,
    qr_terminal,
    random_credentials,
    web_url,
)
from chatmail.net.acme import AcmeStep
from chatmail.net.addresses import source_addresses
from chatmail.status_snapshot import (
    AccountCounts,
    CertificateState,
    DnsRecordState,
    DnsState,
    ExpiryState,
    Health,
    HealthLevel,
    HealthReason,
    History,
    HistoryPoint,
    Latencies,
    MachineState,
    MessageRates,
    PeerTraffic,
    Percentiles,
    PushState,
    QueueDestination,
    QueueState,
    SessionCounts,
    StatusSnapshot,
    StoreState,
)

__all__ = [
    "CERTIFICATE_STEPS",
    "EXPLANATIONS",
    "INSTALL_STEPS",
    "VERSION",
    "WORTH_REMEMBERING",
    "AccountCounts",
    "Action",
    "Answers",
    "CertificateRefusedError",
    "CertificateState",
    "CheckState",
    "Config",
    "ConfigError",
    "DnsRecord",
    "DnsRecordState",
    "DnsRecords",
    "DnsReport",
    "DnsState",
    "DoctorCheck",
    "DoctorReport",
    "DoctorState",
    "DomainAnswer",
    "DomainKind",
    "DomainProblem",
    "ExpiryState",
    "Firewall",
    "Health",
    "HealthLevel",
    "HealthReason",
    "History",
    "HistoryPoint",
    "InstallError",
    "InstalledState",
    "Latencies",
    "LeftBehind",
    "MachineState",
    "MessageRates",
    "ObtainedCertificate",
    "OpenPort",
    "OperatorError",
    "PeerTraffic",
    "Percentiles",
    "Plan",
    "PlannedItem",
    "PreflightCheck",
    "PreflightOptions",
    "PreflightState",
    "PushState",
    "QueueDestination",
    "QueueState",
    "RecordCheck",
    "RecordRendering",
    "RemovalPlan",
    "RenderedRecord",
    "Resolution",
    "ReverseCheck",
    "RunningServer",
    "ServerDown",
    "ServerDownError",
    "SessionCounts",
    "StatusSnapshot",
    "StepReport",
    "StepState",
    "StoreState",
    "accepts_dcaccount",
    "as_typed",
    "certificate_in_use",
    "changed_answers",
    "check_dns",
    "check_dns_now",
    "config_of",
    "dns_records",
    "doctor",
    "drop_queue",
    "encode_down",
    "find_account",
    "find_server",
    "firewall_commands",
    "install",
    "installed_state",
    "invite",
    "is_propagating",
    "left_behind",
    "list_queue",
    "needs_dns_records",
    "obtain_certificate",
    "open_ports",
    "own_addresses",
    "plan",
    "plan_removal",
    "preflight",
    "qr_code",
    "read_config",
    "read_history",
    "read_history_of_month",
    "read_log",
    "read_status",
    "read_status_json",
    "remember",
    "renew_certificate",
    "resolve_now",
    "retry_queue",
    "run_expiry",
    "save_zone",
    "server_down_report",
    "set_registration",
    "sign_up_link",
    "sign_up_link_of",
    "start_command",
    "uninstall",
    "validate_domain",
    "web_address",
]

INSTALL_STEPS: dict[str, str] = {name: sentence for name, (sentence, _work) in _STEPS.items()}
"""The steps of `install` by name, with what is said of each; shown before and while they are done."""

CERTIFICATE_STEPS = tuple(str(step) for step in AcmeStep)
"""What `obtain_certificate` says while an authority is asked, in order; it may begin again in another way."""

WORTH_REMEMBERING = (
    ("chatmail status", "how the server is doing"),
    ("chatmail doctor", "checks everything from the outside in"),
    (READ_LOG, "what the server has to say"),
)
"""The three commands worth remembering, each with what it does; `as_typed` says how to type them here."""

# --- before anything is touched -------------------------------------------------------------------------------------


def preflight(options: PreflightOptions | None = None) -> Iterator[PreflightCheck]:
    """Look at this machine; each check is yielded once made. Waits for the network at its end, changes nothing."""
    return _preflight.preflight(Places(), ThisHost(), options or PreflightOptions())


def installed_state() -> InstalledState:
    """What is installed here, complete or not; with the answers to begin with where there are any."""
    return _state.installed_state(Places(), ThisHost())


def resolve_now(domain: str, resolvers: Sequence[str] = (), own_addresses: Sequence[str] = ()) -> Resolution:
    """What the domain leads to now, and whether that is here. Waits for the network."""
    return _naming.resolve_now(domain, resolvers, own_addresses)


def changed_answers(answers: Answers, **changes: object) -> Answers:
    """The same answers but for `changes`."""
    values: dict[str, Any] = {**asdict(answers), **changes}
    return Answers(**values)


def own_addresses() -> tuple[str, ...]:
    """This machine's addresses towards the world as it knows them, IPv4 first."""
    return tuple(str(address) for address in source_addresses())


def plan(answers: Answers) -> Plan:
    """Exactly what `install` would do here. Changes nothing. Raises `OperatorError`."""
    return _plan.make_plan(answers, Places())


# Answers kept, DNS records and the certificate come from `chatmail.installation.preparing`.

# --- changing the machine -------------------------------------------------------------------------------------------


def install(plan: Plan, on_step: Callable[[StepReport], None] = lambda _report: None) -> bool:
    """Do what the plan says; whether anything was changed (a second time nothing is). Takes seconds.

    Raises `InstallError`, which knows the step, what is left behind, and the server's last log lines if it did not
    start. `KeyboardInterrupt` passes through; `left_behind` says what lies there then.
    """
    return _steps.install(plan, Places(), ThisHost(), on_step)


def left_behind() -> LeftBehind:
    """What a run that was interrupted left: the previous state, or one that the next run resumes."""
    return _steps.left_behind(Places())


def plan_removal(*, remove_data: bool) -> RemovalPlan:
    """What `uninstall` would remove. Changes nothing."""
    return _removal.plan_removal(Places(), remove_data=remove_data)


def uninstall(plan: RemovalPlan, on_step: Callable[[StepReport], None] = lambda _report: None) -> None:
    """Remove it, also an installation that did not come to its end. Raises `OperatorError`; may be run again."""
    _removal.uninstall(plan, Places(), ThisHost(), on_step)


def doctor(config: Config, *, ca_file: str = "") -> Iterator[DoctorCheck]:
    """Check the running server from the outside in; each check is yielded when it is made. Waits for the network.

    Sends one encrypted message between two fresh accounts, and removes both. `ca_file` holds further roots to trust.
    """
    from chatmail.installation.doctor import doctor as _doctor

    return _doctor(config, ThisHost(), ca_file=ca_file)


# --- the running server: looking ------------------------------------------------------------------------------------
# `find_server`, then `read_status`, `read_history`, `read_history_of_month`, `read_log`; all wait for milliseconds.


def server_down_report(server: RunningServer) -> ServerDown:
    """After `ServerDownError`: what systemd says of it, and its last words. Waits for systemctl: some milliseconds."""
    return _why_down(server, ThisHost())


# --- the running server: acting, for those whose `RunningServer.may_act` is true ------------------------------------
# All raise `ServerDownError`, and `OperatorError` in one sentence if the server refuses.


def list_queue(server: RunningServer, domain: str | None = None) -> list[dict[str, Any]]:
    """What waits, item by item, as `queue list --json` prints it."""
    found: list[dict[str, Any]] = _command(server, "queue list", domain=domain)["items"]
    return found


def retry_queue(
    server: RunningServer, *, item: int | None = None, domain: str | None = None, everything: bool = False
) -> int:
    """Try now: one item, a domain's, or all; how many."""
    return int(_command(server, "queue retry", item=item, domain=domain, all=everything)["retried"])


def drop_queue(
    server: RunningServer, *, item: int | None = None, domain: str | None = None, everything: bool = False
) -> int:
    """Remove them without telling anybody; how many there were."""
    return int(_command(server, "queue drop", item=item, domain=domain, all=everything)["dropped"])


def renew_certificate(server: RunningServer, on_progress: Callable[[str], None] = lambda _text: None) -> dict[str, Any]:
    """Obtain a new certificate now; its status. Takes seconds to minutes."""
    found: dict[str, Any] = _command(server, "cert renew", on_progress)
    return found


def check_dns_now(server: RunningServer) -> str:
    """Have the server compare its DNS records now; the verdict. Takes seconds."""
    return str(_command(server, "status check-dns")["verdict"])


def set_registration(server: RunningServer, mode: str) -> str:
    """`open`, `invite` or `closed` from now on; the mode in force."""
    words = {"open": "open", "invite": "invite-only", "closed": "close"}
    return str(_command(server, f"registration {words[mode]}")["registration"])


def invite(server: RunningServer) -> str:
    """Make an invitation for one account; its link."""
    return str(_command(server, "registration invite", uses=1)["link"])


def run_expiry(server: RunningServer, on_progress: Callable[[str], None] = lambda _text: None) -> dict[str, Any]:
    """Remove what is over its time now; what was removed, as `expire --json` prints it. May take minutes."""
    found: dict[str, Any] = _command(server, "expire", on_progress)
    return found


def find_account(server: RunningServer, address: str) -> dict[str, Any]:
    """Amounts of one account by its whole address, as `account show --json` prints them."""
    found: dict[str, Any] = _command(server, "account show", address=address)
    return found


# --- what to show at the end ----------------------------------------------------------------------------------------


def web_address(config: Config) -> str:
    """The page where people get an account."""
    return web_url(config)


def sign_up_link(config: Config) -> str:
    """A link for phones: each that opens it gets an account, or one gets one where clients cannot use such a link."""
    return (
        dcaccount_link(config)
        if accepts_dcaccount(config)
        else login_link(config, random_credentials(SystemRandom(), config))
    )


def sign_up_link_of(config_path: str) -> str:
    """The same, for a configuration file. Raises `ConfigError`."""
    return sign_up_link(read_config(config_path))


def qr_code(link: str, *, colored: bool = False) -> str:
    """The link as a QR code for a terminal; `colored` sets its colours, for light terminals too."""
    return qr_terminal(link, colored=colored)
