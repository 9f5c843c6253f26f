"""Everything that the work in the background tells the screens, one message each."""

from dataclasses import dataclass

from textual.message import Message

from chatmail import api


@dataclass
class Stopped(Message):
    """Work came to its end without its result: one sentence says why and what to do."""

    sentence: str


@dataclass
class Broken(Message):
    """A bug of ours; the App ends with it."""

    error: Exception


@dataclass
class MachineLooked(Message):
    """One look at the machine was made."""

    check: api.PreflightCheck
    state: api.InstalledState
    """What was installed at the beginning of the look."""


@dataclass
class MachineKnown(Message):
    """All looks were made; `state` is what is installed."""

    state: api.InstalledState


@dataclass
class DomainResolved(Message):
    """What a domain leads to now."""

    resolution: api.Resolution


@dataclass
class RecordsReady(Message):
    """The records to create."""

    records: api.DnsRecords


@dataclass
class RecordsChecked(Message):
    """How they stand at the authoritative servers."""

    report: api.DnsReport


@dataclass
class CertificateFound(Message):
    """What would be presented now; perhaps good enough."""

    certificate: api.ObtainedCertificate


@dataclass
class CertificateStepped(Message):
    """The order came to this step."""

    step: str


@dataclass
class CertificateObtained(Message):
    """There is a certificate."""

    certificate: api.ObtainedCertificate


@dataclass
class CertificateRefused(Message):
    """There is none: at which step, and why in one sentence."""

    step: str
    sentence: str


@dataclass
class Planned(Message):
    """What installing would do."""

    plan: api.Plan


@dataclass
class InstallStepped(Message):
    """News of one step."""

    report: api.StepReport


@dataclass
class Installed(Message):
    """All steps are done; whether anything was changed."""

    changed: bool


@dataclass
class InstallStopped(Message):
    """A step failed, or the operator stopped it; what lies there now, and the server's last words if it has any."""

    sentence: str
    left: api.LeftBehind
    log_lines: tuple[str, ...] = ()


@dataclass
class ServerChecked(Message):
    """One check of the running server."""

    check: api.DoctorCheck


@dataclass
class ServerKnown(Message):
    """All checks of the running server were made."""
