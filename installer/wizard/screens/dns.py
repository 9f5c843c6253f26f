"""The page on the DNS records: shows them, watches the authoritative servers, and lets nobody past by accident."""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import OptionList, Static

from chatmail import api
from installer.widgets.confirmation import ConfirmationModal
from installer.wizard.journey import Step
from installer.wizard.marks import Mark
from installer.wizard.messages import RecordsChecked, RecordsReady
from installer.wizard.records import RecordLine, RecordSheet, cropped
from installer.wizard.screens.step_screen import StepScreen
from installer.wizard.texts import dns as texts
from installer.wizard.widgets.key_line import KeyHint
from installer.wizard.widgets.more_line import MoreLine
from installer.wizard.widgets.record_table import RecordTable
from installer.wizard.widgets.text_prompt import TextPrompt

_STYLES = {"Found": "$error", "Do": "$warning", "Wait": "$accent"}


class DnsScreen(StepScreen):
    """The table above, everything about the record under the cursor below."""

    STEP = Step.DNS
    title_text = texts.TITLE
    lead_text = texts.LEAD
    DEFAULT_CSS = """
    DnsScreen #form { color: $text-muted; height: 1; text-style: italic; text-wrap: nowrap; text-overflow: ellipsis; }
    DnsScreen.-narrow #lead { display: none; }
    DnsScreen #lead { margin-bottom: 0; }
    DnsScreen #details { height: 1fr; min-height: 3; padding: 0 1; background: $surface; }
    DnsScreen.-roomy #details { margin-top: 1; }
    DnsScreen #note { color: $warning; height: auto; }
    DnsScreen.-tall #buttons { margin: 0; }
    DnsScreen.-tall StatusLine { margin: 0; }
    DnsScreen.-roomy StatusLine { margin: 1 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "next_rendering", show=False),
        Binding("s", "save", show=False),
        Binding("c", "copy_value", show=False),
        Binding("n", "copy_name", show=False),
        Binding("l", "look", show=False),
        Binding("a", "say_address", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._sheet: RecordSheet | None = None
        self._looking = False
        self._note: Timer | None = None
        """Runs while the status line says what a key has done."""

    def content(self) -> Iterable[Widget]:
        """Table and details."""
        yield Static("", id="note", markup=False)
        yield Static("", id="form", markup=False)
        table = RecordTable()
        yield table
        yield MoreLine(table)
        with VerticalScroll(id="details"):
            yield Static("", id="about")

    def keys(self) -> Sequence[KeyHint]:
        """What can be done with the records."""
        return (
            KeyHint("R", "Name style", "screen.next_rendering"),
            KeyHint("S", "Save", "screen.save"),
            KeyHint("C", "Copy", "screen.copy_value"),
            KeyHint("L", "Look now", "screen.look"),
            KeyHint("A", "Address", "screen.say_address"),
            KeyHint("N", "Copy name", "screen.copy_name"),
        )

    def on_mount(self) -> None:
        """The list first; it makes the key for signing."""
        self.query_one("#note").display = False
        self.query_one(RecordTable).focus()
        self.allow_next(False)
        self._make()

    def _make(self) -> None:
        self.say(Mark.WORKING, texts.WORKING)
        self.wizard.work.make_records(self, self.journey.answers, self.wizard.own_addresses)

    @on(RecordsReady)
    def _ready(self, message: RecordsReady) -> None:
        self._sheet = RecordSheet(message.records, self.journey.name_style)
        note = self.query_one("#note", Static)
        note.update(message.records.note)
        note.display = bool(message.records.note)
        self._show()
        self.allow_next(True)
        self.action_look()

    def action_look(self) -> None:
        """Ask the authoritative servers now, unless they are being asked."""
        if self._sheet is None or self._looking or not self.is_attached:
            return
        self._looking = True
        if self._sheet.report is None:
            self.say(Mark.WORKING, self.said(texts.CHECKING))
        self.wizard.work.check_records(self, self._sheet.records, self.journey.answers.resolvers)

    @on(RecordsChecked)
    def _checked(self, message: RecordsChecked) -> None:
        self._looking = False
        if self._sheet is None or len(message.report.checks) != len(self._sheet.records.records):
            return self.action_look()
        self._sheet = self._sheet.checked(message.report)
        self._show()
        self.query_one(RecordTable).point_at(self._sheet.first_to_mend())
        if self._note is None:
            self._say_summary()
        self._look_later()

    def _say_summary(self) -> None:
        assert self._sheet is not None
        self._note = None
        self.say(*self._sheet.summary(self.wizard.dns_interval_seconds))

    def _tell(self, mark: Mark, text: str, seconds: float = 4.0) -> None:
        """What a key has done, in the place of the summary for a while."""
        if self._note is not None:
            self._note.stop()
        self.say(mark, text)
        self._note = self.set_timer(seconds, self._told)

    def _told(self) -> None:
        self._note = None
        if self._sheet is not None and self._sheet.report is not None:
            self._say_summary()
        else:
            self.say(None)

    def work_stopped(self) -> None:
        """No resolver, or no list: try again after a while."""
        self._looking = False
        self._look_later()

    def _look_later(self) -> None:
        again = self.action_look if self._sheet else self._make
        self.set_timer(self.wizard.dns_interval_seconds, again)

    def _show(self) -> None:
        assert self._sheet is not None
        self.query_one("#form", Static).update(texts.FORM.format(form=texts.RENDERINGS[self._sheet.rendering]))
        self.query_one(RecordTable).show(self._sheet.lines())
        self._show_details()

    @on(OptionList.OptionHighlighted)
    def _show_details(self) -> None:
        line = self.query_one(RecordTable).line
        self.query_one("#about", Static).update(_about(line) if line else "")

    def action_read(self, move: str) -> None:
        """Through the records, wherever the focus is."""
        self.query_one(RecordTable).move(move)

    # --- keys ---------------------------------------------------------------------------------------------------

    def action_next_rendering(self) -> None:
        """Short names, full names, zone file, and again."""
        if self._sheet is not None:
            self._sheet = self._sheet.in_next_rendering()
            self.wizard.prefer(self._sheet.rendering)
            self._show()

    def action_copy_value(self) -> None:
        """Into the clipboard of the terminal, where it takes that."""
        self._copy(lambda line: line.rendered.value)

    def action_copy_name(self) -> None:
        """The name, likewise."""
        self._copy(lambda line: line.rendered.name)

    def _copy(self, part: Callable[[RecordLine], str]) -> None:
        line = self.query_one(RecordTable).line
        if line is not None:
            self.app.copy_to_clipboard(part(line))
            self._tell(Mark.OK, texts.COPIED.format(what=cropped(part(line), 40)))

    def action_save(self) -> None:
        """Ask where to."""
        if self._sheet is not None:
            name = f"./{self.journey.answers.mail_domain}.zone"
            self.app.push_screen(TextPrompt(texts.SAVE_TITLE, texts.SAVE_QUESTION, name), self._save)

    def _save(self, path: str | None) -> None:
        if path is None or self._sheet is None:
            return
        try:
            saved = self.wizard.door.save_zone(self._sheet.records, path)
        except api.OperatorError as error:
            self._tell(Mark.FAILED, str(error), seconds=8.0)
        else:
            self._tell(Mark.OK, texts.SAVED.format(path=saved))

    def action_say_address(self) -> None:
        """Behind a NAT nobody but the operator knows it."""
        known = " ".join(self.wizard.own_addresses)
        self.app.push_screen(TextPrompt(texts.ADDRESSES_TITLE, texts.ADDRESSES_QUESTION, known), self._addresses_said)

    def _addresses_said(self, text: str | None) -> None:
        if text is not None:
            self.wizard.own_addresses = tuple(text.replace(",", " ").split())
            self._make()

    # --- going on -----------------------------------------------------------------------------------------------

    def proceed(self) -> None:
        """At once when all required records are right; else only after a clear yes."""
        wrong = self._sheet.names_of_wrong() if self._sheet else []
        if not wrong:
            return super().proceed()
        question = ConfirmationModal(
            texts.SKIP_TITLE,
            texts.skip_question(wrong),
            details=texts.SKIP_CONSEQUENCES,
            yes=texts.SKIP_YES,
            no=texts.SKIP_NO,
        )
        self.app.push_screen(question, self._skip)

    def _skip(self, sure: bool | None) -> None:
        if sure:
            super().proceed()


def _about(line: RecordLine) -> Content:
    parts: list[Content] = []
    for label, text in line.details():
        parts.append(Content.assemble((f"{label:<6}", "$text-muted"), (text, _STYLES.get(label, "$foreground"))))
    return Content("\n").join(parts)
