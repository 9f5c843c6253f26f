"""The first thing to see: whether the relay is fine, in a word, a sign and a colour; why not, and what to do."""

import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from textual.content import Content
from textual.widget import Widget

from chatmail.api import HealthLevel, HealthReason, StatusSnapshot
from installer.dashboard import wording
from installer.dashboard.judgement import MARKS, Mark
from installer.dashboard.line import MUTED, Line, both_ends, line
from installer.dashboard.moment import Moment, Outage

WORDS: Final = {HealthLevel.FINE: "FINE", HealthLevel.DEGRADED: "DEGRADED", HealthLevel.BROKEN: "BROKEN"}
SENTENCES: Final = {
    HealthLevel.FINE: "works, and nothing needs you.",
    HealthLevel.DEGRADED: "works, but needs you soon.",
    HealthLevel.BROKEN: "does not work for everybody.",
}
_INDENT: Final = "  "


class Verdict(Widget):
    """As high as what there is to say: of several reasons the worst is shown, and how many more there are."""

    DEFAULT_CSS = """
    Verdict { height: auto; padding: 1 1; border-left: outer $border; background: $surface; }
    Verdict.-FINE { border-left: outer $success; background: $success 10%; }
    Verdict.-DEGRADED { border-left: outer $warning; background: $warning 10%; }
    Verdict.-BROKEN { border-left: outer $error; background: $error 12%; }
    Verdict.-tall, Verdict.-brief { padding: 0 1; }
    """

    def __init__(self, *, brief: bool = False) -> None:
        """`brief` leaves out the reasons, for pages that need the room."""
        super().__init__(classes="-brief" if brief else "")
        self._brief = brief
        self._of: tuple[object, ...] = ()
        self._lines: Callable[[int], tuple[Mark, Sequence[Line]]] | None = None
        self._said: tuple[Line, ...] = (line(("Looking at the server …", MUTED)),)

    def render(self) -> Content:
        """What was said last."""
        return Content("\n").join(each.content for each in self._said)

    def show(self, moment: Moment) -> None:
        """Say it, if it is not what is said already."""
        snapshot = moment.snapshot
        about = f"up {wording.span(snapshot.uptime_seconds)} · {snapshot.version}"
        if self._of != (of := (snapshot.health, snapshot.mail_domain, about)):
            shown = snapshot.health.reasons[: 0 if self._brief else 1]
            self._of, self._lines = of, partial(verdict_lines, snapshot, about, shown)
            self._say()

    def show_outage(self, outage: Outage) -> None:
        """Say it, if it is not what is said already."""
        if self._of != (of := (outage.word, outage.sentence, outage.remedy)):
            self._of, self._lines = of, partial(outage_lines, outage)
            self._say()

    def on_resize(self) -> None:
        """Wrap it anew."""
        self._say()

    def _say(self) -> None:
        width = self.content_size.width
        if width <= 0 or self._lines is None:
            return
        mark, lines = self._lines(width)
        for each in Mark:
            self.set_class(each is mark, f"-{each.name}")
        self.set_class(len(lines) > 1, "-tall")
        before, self._said = self._said, tuple(lines)
        if before != self._said:
            self.refresh(layout=len(before) != len(self._said))


def outage_lines(outage: Outage, width: int) -> tuple[Mark, list[Line]]:
    """That it is down."""
    lines = headline(Mark.BROKEN, outage.word, outage.sentence, "", width)
    return Mark.BROKEN, lines + wrapped(f"→ {outage.remedy}", "", width) if outage.remedy else lines


def verdict_lines(
    snapshot: StatusSnapshot, about: str, shown: Sequence[HealthReason], width: int
) -> tuple[Mark, list[Line]]:
    """The word, the reasons that are to be shown, and how many more there are."""
    level, reasons = snapshot.health.level, snapshot.health.reasons
    lines = headline(MARKS[level], WORDS[level], f"{snapshot.mail_domain} {SENTENCES[level]}", about, width)
    for reason in shown:
        lines += reason_lines(reason, width)
    if shown and len(reasons) > len(shown):
        more = wording.counted(len(reasons) - len(shown), "more thing")
        lines.append(line((f"{_INDENT}and {more}: press w", MUTED)))
    return MARKS[level], lines


def headline(mark: Mark, word: str, sentence: str, about: str, width: int) -> list[Line]:
    """The word as a block, the sentence, and at the end of the line what is worth little; two lines if narrow."""
    block = line((f" {mark.sign} {word} ", f"bold reverse {mark.color}"))
    both = line(block, "  ", (wording.printable(sentence), "bold"))
    if both.width <= width:
        return [both_ends(both, line((about, MUTED)), width)]
    return [both_ends(block, line((about, MUTED)), width), *wrapped(sentence, "bold", width)]


def reason_lines(reason: HealthReason, width: int) -> list[Line]:
    """What is wrong, and what to do. A notice is no alarm, and has no colour."""
    color = "" if reason.level is HealthLevel.FINE else MARKS[reason.level].color
    return [*wrapped(reason.sentence, color, width), *wrapped(f"→ {reason.remedy}", "", width)]


def wrapped(sentence: str, style: str, width: int) -> list[Line]:
    """A sentence in lines, set in; what follows an arrow hangs behind it."""
    hang = _INDENT * (2 if sentence.startswith("→") else 1)
    rows = textwrap.wrap(
        wording.printable(sentence), max(20, width), initial_indent=_INDENT, subsequent_indent=hang
    )  # fmt: skip
    return [line((row, style)) for row in rows]
