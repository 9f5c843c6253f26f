"""Numbers, sizes and times as people read them; no wider than they have to be."""

import textwrap
from datetime import datetime
from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
_THOUSANDS: Final = ("", "k", "M", "G", "T")
_SIZES: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def count(number: int) -> str:
    """Whole, with thousands apart, as long as that is readable; then three digits and a letter."""
    if abs(number) < 1_000_000:
        return f"{number:,}"
    value, unit = float(number), 0
    while abs(value) >= 1000 and unit < len(_THOUSANDS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{_three_digits(value)} {_THOUSANDS[unit]}"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 account`, `2 accounts`; `many` where adding an s will not do."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def size(number_of_bytes: int) -> str:
    """Three digits and a unit."""
    value, unit = float(number_of_bytes), 0
    while abs(value) >= 1000 and unit < len(_SIZES) - 1:
        value, unit = value / 1024, unit + 1
    return f"{_three_digits(value) if unit else number_of_bytes} {_SIZES[unit]}"


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}"


def span(seconds: float) -> str:
    """A length of time in its largest unit, with the next one where the first is small: `3 d 4 h`, `12 d`, `34 min`."""
    whole = max(0, int(seconds))
    for unit_seconds, name, smaller_seconds, smaller in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
    ):
        if whole >= unit_seconds:
            units, rest = divmod(whole, unit_seconds)
            small = rest // smaller_seconds
            return f"{units} {name} {small} {smaller}" if units < 10 and small else f"{units} {name}"
    return f"{whole // _MINUTE} min" if whole >= _MINUTE else f"{whole} s"


def ago(moment: datetime | None, now: datetime) -> str:
    """`34 min ago`; `never` for None."""
    if moment is None:
        return "never"
    seconds = (now - moment).total_seconds()
    return "just now" if seconds < 10 else f"{_rough(seconds)} ago"


def until(moment: datetime | None, now: datetime) -> str:
    """`in 34 min`; `now` once it has come, `-` for None."""
    if moment is None:
        return "-"
    seconds = (moment - now).total_seconds()
    return "now" if seconds < 1 else f"in {_rough(seconds)}"


def age(moment: datetime | None, now: datetime) -> str:
    """How long it has lasted: `34 min`; `-` for None."""
    return "-" if moment is None else _rough((now - moment).total_seconds())


def _rough(seconds: float) -> str:
    """Seconds only below a minute and in steps of ten, so that a line is not drawn anew every second."""
    return span(seconds) if seconds >= _MINUTE else f"{max(10, int(seconds) // 10 * 10)} s"


def milliseconds(value: float | None) -> str:
    """Two significant digits below ten, then whole; seconds from 1000 on; `-` for None."""
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def printable(text: str) -> str:
    """One line in which nothing another server said can command the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def wrapped(text: str, width: int, hang: int = 2) -> list[str]:
    """Printable text in rows of `width`; all but the first are set in by `hang`."""
    return textwrap.wrap(printable(text), max(20, width), subsequent_indent=" " * hang)
