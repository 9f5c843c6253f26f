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
        ]
        if fields := texts.FIELDS.get(self.rendered.type):
            rows.append(("", fields.format(*self.rendered.value.split())))
        rows.append(("For", f"{self.record.purpose} ({need})"))
        if self.check is None:
            return rows
        if self.mark is Mark.SPREADING:
            old = self.check.public or ("nothing",)
            return [*rows, *(("Seen", value) for value in old[:4]), ("Wait", texts.STILL_SPREADING)]
        if self.check.state is api.CheckState.OK:
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

    def names_of_wrong(self) -> list[str]:
        """The required ones that are not right, as type and name."""
        return [
            f"{line.rendered.type} {line.rendered.name}"
            for line in self.lines()
            if line.record.required and (line.check is None or line.check.state is not api.CheckState.OK)
        ]

    def first_to_mend(self) -> int:
        """The place of the first record that is not right: of the required ones, then of all, then of those spreading.

        0 if there is none.
        """
        lines = self.lines()
        tones = [line.mark.tone for line in lines]
        for tone in ("bad", "warn", "busy"):
            if tone in tones:
                return tones.index(tone)
        return 0

    def summary(self, interval_seconds: float | None) -> tuple[Mark, str]:
        """How it stands altogether; the interval is said while something is wrong, unless there is none."""
        wrong, weak = self.wrong(required=True), self.wrong(required=False)
        spreading = sum(line.mark is Mark.SPREADING for line in self.lines())
        said = [texts.SPREADING.format(count=spreading)] if spreading else []
        if wrong:
            text = (texts.ONE_WRONG if wrong == 1 else texts.WRONG).format(count=wrong)
            watching = [] if interval_seconds is None else [texts.WATCHING.format(seconds=interval_seconds)]
            return Mark.MISSING, " ".join([text, *said, *watching])
        if weak:
            return Mark.WARNING, " ".join([texts.REQUIRED_RIGHT.format(count=weak), *said])
        text = texts.ALL_RIGHT.format(count=len(self.records.records))
        return (Mark.SPREADING if spreading else Mark.OK), " ".join([text, *said])


def cropped(text: str, width: int) -> str:
    """At most `width` characters."""
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"
