"""What an installation will make on this machine, item by item, before anything is touched."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from chatmail.config import Config, parse_config
from chatmail.control_protocol import STATUS_GROUP
from chatmail.errors import ConfigError, OperatorError
from chatmail.installation.answers import Answers
from chatmail.installation.config_file import new_config_text, with_answers
from chatmail.installation.host import archive_in_use, has_group, has_user, service_python
from chatmail.installation.places import UNIT, USER, Places
from chatmail.installation.record import read_record
from chatmail.installation.unit import log_settings_text, unit_text

MAX_CONFIG_BYTES = 1_000_000


class Action(StrEnum):
    """What happens to an item."""

    CREATE = "create"
    CHANGE = "change"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """One user, folder, file, link or unit: `mode` and `owner` as `ls -l` has them, empty where they mean nothing."""

    kind: str
    name: str
    mode: str
    owner: str
    purpose: str
    action: Action


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything `install` needs, and what it will do. Frozen at the moment it was made."""

    answers: Answers
    archive: Path
    """The built file that is installed."""
    python: str
    """The interpreter the unit runs."""
    config_text: str
    unit_text: str
    log_settings_text: str
    items: tuple[PlannedItem, ...]

    @property
    def config(self) -> Config:
        """The configuration that will be in effect."""
        return parse_config(self.config_text)

    @property
    def changes(self) -> bool:
        """Whether anything at all is made or changed."""
        return any(item.action is not Action.KEEP for item in self.items)


def make_plan(answers: Answers, places: Places, archive: Path | None = None, python: str = "") -> Plan:
    """Look at the machine and say what is to be done. Changes nothing.

    Raises `ConfigError` where the answers do not fit together or an existing configuration is broken, and
    `OperatorError` where this cannot be installed at all.
    """
    source = archive or archive_in_use()
    if source is None:
        raise OperatorError("Only the built file can install itself; run: python3 chatmail.pyz install")
    interpreter = python or service_python()
    config_text = _config_text(answers, places)
    unit, log_settings = unit_text(interpreter, places), log_settings_text()
    items = tuple(_items(places, config_text, unit, log_settings))
    return Plan(answers, source, interpreter, config_text, unit, log_settings, items)


def read_installed_config(places: Places) -> str | None:
    """The text of the installed configuration file; None if there is none. Raises `OperatorError`."""
    try:
        with places.config_file.open("rb") as file:
            return file.read(MAX_CONFIG_BYTES).decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise OperatorError(f"{places.config_file} cannot be read; check it, or move it away.") from None


def _config_text(answers: Answers, places: Places) -> str:
    existing = read_installed_config(places)
    if existing is None:
        return new_config_text(answers)
    try:
        installed = parse_config(existing).mail_domain
        if installed != parse_config(new_config_text(answers)).mail_domain:
            raise OperatorError(
                f"This machine is set up for {installed}; its addresses would be lost. Uninstall that first, "
                f"or install for {installed} again."
            )
        return with_answers(existing, answers)
    except ConfigError as error:
        raise ConfigError(f"{places.config_file}: {error}") from None


def _items(places: Places, config_text: str, unit: str, log_settings: str) -> Iterator[PlannedItem]:
    user, group = (Action.KEEP if known else Action.CREATE for known in (has_user(USER), has_group(STATUS_GROUP)))
    yield PlannedItem("user", USER, "", "", "Runs the server, without a login and without rights.", user)
    yield PlannedItem("group", STATUS_GROUP, "", "", "Members may see how the server is; nobody is one yet.", group)
    for path, mode, owner, purpose in (
        (places.folder, "drwxr-xr-x", "root", "The program, one file for each version."),
        (places.config_file.parent, "drwxr-xr-x", "root", "The configuration."),
        (places.data_dir, "drwx------", USER, "Accounts, mail, keys: everything worth a backup."),
    ):
        yield PlannedItem("folder", str(path), mode, owner, purpose, _presence(path))
    yield PlannedItem(
        "file", str(places.program), "-rwxr-xr-x", "root", "The program of this version.", _presence(places.program)
    )
    yield PlannedItem(
        "folder", str(places.unpacked), "drwxr-xr-x", "root", "The same, unpacked once.", _presence(places.unpacked)
    )
    for link, target, purpose in (
        (places.current, places.program, "Leads to the version in use."),
        (places.command, places.current, "Makes `chatmail` a command."),
    ):
        yield PlannedItem("link", str(link), "lrwxrwxrwx", "root", purpose, link_action(link, target))
    for file, text, mode, owner, purpose in (
        (places.config_file, config_text, "-rw-r-----", f"root:{USER}", "What can be set, with comments."),
        (places.log_settings, log_settings, "-rw-r--r--", "root", "Keeps the server's log in memory, for three days."),
        (places.unit_file, unit, "-rw-r--r--", "root", "Has systemd run the server, and start it again."),
    ):
        yield PlannedItem("file", str(file), mode, owner, purpose, text_action(file, text))
    record = read_record(places)
    runs = record is not None and record.complete and not record.restart_due
    yield PlannedItem("unit", UNIT, "", "", "Enabled and started.", Action.KEEP if runs else Action.CREATE)


def _presence(path: Path) -> Action:
    return Action.KEEP if path.exists() else Action.CREATE


def link_action(link: Path, target: Path) -> Action:
    """What a link needs to lead to `target`."""
    if not link.is_symlink():
        return Action.CHANGE if link.exists() else Action.CREATE
    return Action.KEEP if link.readlink() == target else Action.CHANGE


def text_action(path: Path, text: str) -> Action:
    """What a file needs to hold `text`."""
    try:
        return Action.KEEP if path.read_text(encoding="utf-8") == text else Action.CHANGE
    except FileNotFoundError:
        return Action.CREATE
    except (OSError, UnicodeDecodeError):
        return Action.CHANGE
