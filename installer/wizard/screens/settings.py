"""The page on the few settings that matter; the rest stays in the file."""

from collections.abc import Iterable

from textual import events, on
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from chatmail import api
from installer.wizard.fields import FIELDS, Field, judged, shown
from installer.wizard.journey import Step
from installer.wizard.marks import Mark
from installer.wizard.screens.step_screen import StepScreen
from installer.wizard.texts import settings as texts
from installer.wizard.widgets.choice import Choice
from installer.wizard.widgets.line_input import LineInput


class SettingsScreen(StepScreen):
    """One line a setting; what the present one means is said below."""

    STEP = Step.SETTINGS
    title_text = texts.TITLE
    lead_text = texts.LEAD
    DEFAULT_CSS = """
    SettingsScreen #fields { height: 1fr; }
    SettingsScreen .field { height: 1; }
    SettingsScreen.-roomy .field { margin-bottom: 1; }
    SettingsScreen .field Label { width: 23; }
    SettingsScreen .field .unit { width: 6; margin-left: 1; color: $text-muted; }
    SettingsScreen .field Input { width: 12; }
    SettingsScreen .field.-text Input { width: 1fr; max-width: 48; }
    SettingsScreen.-narrow .field { height: auto; }
    SettingsScreen.-narrow .field Label { width: 20; }
    SettingsScreen.-narrow .field .unit { width: 4; }
    SettingsScreen #hint { height: auto; min-height: 3; max-height: 4; color: $text-muted; }
    """

    _wrong: Widget
    """The field that was complained of last."""

    def content(self) -> Iterable[Widget]:
        """The fields, and room for a hint."""
        with VerticalScroll(id="fields", can_focus=False):
            for field in FIELDS:
                yield from self._line(field)
        yield Static("", id="hint", markup=False)

    def _line(self, field: Field) -> Iterable[Widget]:
        with Horizontal(classes="field" if field.unit or field.choices else "field -text"):
            yield Label(field.label)
            value = shown(self.journey.answers, field)
            if field.choices:
                rows = [(one, label, "") for one, label in field.choices]
                yield Choice(rows, value, in_row=True, id=field.name)
            else:
                yield LineInput(value, id=field.name, select_on_focus=True)
                yield Label(field.unit, classes="unit")

    def on_mount(self) -> None:
        """Enter goes on with the good defaults."""
        self.query_one("#next").focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Explain what is being set."""
        field = next((field for field in FIELDS if field.name == event.widget.id), None)
        self.query_one("#hint", Static).update(field.hint if field else "")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._judge()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_proceed()

    def _judge(self) -> dict[str, object] | None:
        """The values; None with a complaint in the status line if one cannot be."""
        values: dict[str, object] = {}
        for field in FIELDS:
            widget = self.query_one(f"#{field.name}")
            assert isinstance(widget, Input | Choice)
            values[field.name], wrong = judged(field, widget.value)
            if wrong:
                self.say(Mark.FAILED, f"{field.label}: {wrong}")
                self._wrong = widget
                return None
        self.say(None)
        return values

    def proceed(self) -> None:
        """Keep what was chosen."""
        values = self._judge()
        if values is None:
            self._wrong.focus()
            return
        wanted = self.journey.with_answers(**values)
        try:
            api.config_of(wanted.answers)
        except api.OperatorError as error:
            return self.say(Mark.FAILED, str(error))
        self.wizard.journey = wanted.with_contact(self.journey.answers.admin)
        super().proceed()
