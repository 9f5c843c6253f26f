"""How the installation on this machine stands, as far as its files and systemd tell."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from chatmail.config import Config, parse_config
from chatmail.errors import OperatorError
from chatmail.installation.answers import Answers
from chatmail.installation.config_file import answers_of
from chatmail.installation.host import Host
from chatmail.installation.places import UNIT, Places
from chatmail.installation.plan import read_installed_config
from chatmail.installation.record import Record, read_record


@dataclass(frozen=True, slots=True)
class InstalledState:
    """`installed` is true as soon as anything was begun; `complete` when the last run came to its end.

    `config` is what the installed file says, None where there is none or it is broken (`problem` says why); `answers`
    are what it amounts to, to begin a reconfiguration with.
    """

    installed: bool
    complete: bool
    version: str
    mail_domain: str
    steps_done: tuple[str, ...]
    active: bool
    enabled: bool
    config: Config | None
    answers: Answers | None
    problem: str = ""
    step: str = ""
    """The page at which an installation was left; empty if none was."""
    name_style: str = ""
    """How the names of DNS records were shown last."""
    kept_at: datetime | None = None
    """When the answers were kept last; None where there is no record."""

    @property
    def is_only_answered(self) -> bool:
        """Whether questions were answered and nothing but that was done."""
        return bool(not self.complete and not self.steps_done and self.answers and self.answers.mail_domain)


def installed_state(places: Places, host: Host) -> InstalledState:
    """Look."""
    record = read_record(places)
    config, problem = _config(places)
    return InstalledState(
        installed=record is not None or places.unit_file.exists(),
        complete=record is not None and record.complete,
        version=record.version if record else "",
        mail_domain=config.mail_domain if config else (record.mail_domain if record else ""),
        steps_done=record.done if record else (),
        active=host.run(["systemctl", "is-active", "--quiet", UNIT]).code == 0,
        enabled=host.run(["systemctl", "is-enabled", "--quiet", UNIT]).code == 0,
        config=config,
        answers=answers_of(config) if config else remembered_answers(record),
        problem=problem,
        step=record.step if record and not record.complete else "",
        name_style=record.name_style if record else "",
        kept_at=datetime.fromtimestamp(places.record.stat().st_mtime, UTC) if record else None,
    )


def _config(places: Places) -> tuple[Config | None, str]:
    try:
        text = read_installed_config(places)
        return (parse_config(text) if text is not None else None), ""
    except OperatorError as error:
        return None, f"{places.config_file}: {error}"


def remembered_answers(record: Record | None) -> Answers | None:
    """What was answered before the installation was left; None if nothing usable is remembered."""
    if record is None or not record.answers:
        return None
    try:
        return replace(Answers(""), **{**record.answers, "resolvers": tuple(record.answers.get("resolvers", ()))})
    except TypeError:
        return None
