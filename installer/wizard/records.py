"""The DNS page's logic: what each record looks like now, and how all of them stand. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chatmail import api
from installer.wizard.marks import Mark, record_mark
from installer.wizard.texts import dns as texts

RENDERINGS = tuple(api.RecordRendering)


@dataclass(frozen=True, slots=True)
class RecordLine:
    """One record in the present rendering; `check` is None until it was looked for."""

    rendered: api.RenderedRecord
    record: api.DnsRecord
    check: api.RecordCheck | None

    @property
    def mark(self) -> Mark:
        """How it stands."""
        return Mark.WAITING if self.check is None else record_mark(self.check)

    def details(self) -> list[tuple[str, str]]:
        """Everything about it: a label and a text each."""
        need = "required" if self.record.required else "recommended"
        rows = [
            ("Name", self.rendered.name),
            ("Value", self.rendered.value),
            ("For", f"{self.record.purpose} ({need})"),
        ]
        if self.check is None or self.check.state is api.CheckState.OK:
            return rows
        found = self.check.found or (("nothing",) if self.check.state is api.CheckState.MISSING else ())
        rows += [("Found", value) for value in found[:4]]
        advice = self.check.advice or ("Its name servers do not answer." if not self.check.found else "")
        return [*rows, ("Do", advice)] if advice else rows


@dataclass(frozen=True, slots=True)
class RecordSheet:
    """All records with what is known of each. Frozen; each look makes another."""

    records: api.DnsRecords
    rendering: api.RecordRendering = api.RecordRendering.SHORT_NAMES
    report: api.DnsReport | None = None

    def lines(self) -> list[RecordLine]:
        """In the order of the records."""
        checks: Sequence[api.RecordCheck | None] = self.report.checks if self.report else [None] * len(self.rendered)
        return [RecordLine(*row) for row in zip(self.rendered, self.records.records, checks, strict=True)]

    @property
    def rendered(self) -> tuple[api.RenderedRecord, ...]:
        """The records as they are shown."""
        return self.records.rendered(self.rendering)

    def in_next_rendering(self) -> "RecordSheet":
        """The same in another of the three forms."""
        at = RENDERINGS.index(self.rendering)
        return replace(self, rendering=RENDERINGS[(at + 1) % len(RENDERINGS)])

    def checked(self, report: api.DnsReport) -> "RecordSheet":
        """The same with a newer look."""
        return replace(self, report=report)

    def wrong(self, *, required: bool) -> int:
        """How many are not right, or not looked at yet."""
        return sum(
            line.record.required is required and (line.check is None or line.check.state is not api.CheckState.OK)
            for line in self.lines()
        )

    def summary(self, interval_seconds: float) -> tuple[Mark, str]:
        """How it stands altogether."""
        wrong, weak = self.wrong(required=True), self.wrong(required=False)
        if wrong:
            text = texts.ONE_WRONG if wrong == 1 else texts.WRONG
            return Mark.MISSING, text.format(count=wrong, seconds=interval_seconds)
        if weak:
            return Mark.WARNING, texts.REQUIRED_RIGHT.format(count=weak)
        return Mark.OK, texts.ALL_RIGHT.format(count=len(self.records.records))


def cropped(text: str, width: int) -> str:
    """At most `width` characters."""
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"
