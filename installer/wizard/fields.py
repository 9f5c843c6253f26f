"""The settings that are asked, one `Field` each: how it is shown, what may be typed, and what it means. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from chatmail import api
from installer.wizard.texts import settings as texts

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Field:
    """One setting. `name` is that of `Answers`; `hint` explains it in a sentence or two."""

    name: str
    label: str
    hint: str
    unit: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    """Value and label of each, where one of a few is chosen; else it is typed."""
    parse: Callable[[str], object] = str
    """The value of what was typed; raises `ValueError` in one sentence."""
    show: Callable[[object], str] = str


def _number(least: int, most: int, what: str) -> Callable[[str], object]:
    def parse(text: str) -> object:
        typed = text.strip()
        if not typed.isascii() or not typed.isdigit() or not least <= int(typed[:9]) <= most:
            raise ValueError(f"Type a whole number of {what} from {least} to {most}.")
        return int(typed)

    return parse


_days = _number(1, 36500, "days")


def _size(text: str) -> object:
    # An account must have room for the largest message.
    number = _number(30, 1_000_000, "MiB")(text)
    assert isinstance(number, int)
    return number * MEBIBYTE


def _in_mebibytes(value: object) -> str:
    assert isinstance(value, int)
    return str(value // MEBIBYTE)


def contact(text: str) -> object:
    """A mail address becomes a `mailto:` link; links and nothing at all stay."""
    typed = text.strip()
    if not typed.isprintable() or len(typed) > 200:
        raise ValueError("Type a mail address or a link, of at most 200 characters.")
    if typed and ":" not in typed:
        local, at, domain = typed.partition("@")
        if not at or not local or "." not in domain or " " in typed:
            raise ValueError("Type a mail address such as me@example.org, or a link; or leave it empty.")
        return f"mailto:{typed}"
    return typed


def _as_typed(value: object) -> str:
    # Only what `contact` has put before it; a link with more in it stays one.
    text = str(value)
    address = text.removeprefix("mailto:")
    return address if "?" not in address else text


FIELDS = (
    Field("registration", texts.REGISTRATION, texts.REGISTRATION_HINT, choices=texts.REGISTRATION_CHOICES),
    Field("delete_mails_after", texts.MAILS, texts.MAILS_HINT, texts.DAYS, parse=_days),
    Field("delete_large_after", texts.LARGE, texts.LARGE_HINT, texts.DAYS, parse=_days),
    Field("delete_inactive_users_after", texts.INACTIVE, texts.INACTIVE_HINT, texts.DAYS, parse=_days),
    Field("max_mailbox_size", texts.QUOTA, texts.QUOTA_HINT, texts.MEBIBYTES, parse=_size, show=_in_mebibytes),
    Field("admin", texts.CONTACT, texts.CONTACT_HINT, parse=contact, show=_as_typed),
)


def shown(answers: api.Answers, field: Field) -> str:
    """The present answer, as it would be typed."""
    return field.show(getattr(answers, field.name))


def judged(field: Field, text: str) -> tuple[object, str]:
    """The value and no complaint, or None and what is wrong."""
    try:
        return field.parse(text), ""
    except ValueError as error:
        return None, str(error)


def judged_mail_address(text: str) -> str:
    """What is wrong with a mail address that may be left out; empty if nothing is."""
    local, at, domain = text.partition("@")
    if not text or (local and at and "." in domain.strip(".") and " " not in text and text.isprintable()):
        return ""
    return "Type a mail address such as me@example.org, or leave it empty."
