"""What every page has: head, title, one or two sentences, its own part, a status line, buttons and keys."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from installer.wizard.journey import Journey, Step
from installer.wizard.marks import Mark
from installer.wizard.messages import Stopped
from installer.wizard.texts import leaving
from installer.wizard.widgets.check_list import CheckList
from installer.wizard.widgets.key_line import KeyHint, KeyLine
from installer.wizard.widgets.more_line import MoreLine
from installer.wizard.widgets.status_line import StatusLine
from installer.wizard.widgets.step_header import StepHeader

if TYPE_CHECKING:
    from installer.wizard.app import WizardApp


class StepScreen(Screen[None]):
    """A page; `STEP` is its place, `content()` its own part, `proceed()` what “next” means."""

    STEP: ClassVar[Step]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (64, "-medium"), (100, "-wide")]  # noqa: RUF012 — as Textual has it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (23, "-tall"), (32, "-roomy")]  # noqa: RUF012
    DEFAULT_CSS = """
    StepScreen { background: $background; }
    StepScreen #page { height: 1fr; padding: 1 2 0 2; overflow-y: auto; scrollbar-size-vertical: 1; }
    StepScreen #title { text-style: bold; color: $primary; height: auto; }
    StepScreen #lead { color: $text-muted; height: auto; margin-bottom: 1; }
    StepScreen #narrow { display: none; color: $text-muted; padding: 0 2; }
    StepScreen.-narrow #narrow { display: block; }
    StepScreen.-narrow #page { padding: 0 1; }
    StepScreen.-narrow #narrow, StepScreen.-narrow KeyLine, StepScreen.-narrow StatusLine { padding: 0 1; }
    StepScreen.-narrow CheckRow > .name { display: none; }
    StepScreen.-narrow CheckRow > .mark { width: 10; }
    StepScreen.-narrow Choice > Option { margin-bottom: 0; }
    StepScreen.-narrow Choice > Option > .sentence { display: none; }
    StepScreen.-narrow Choice > Option.-chosen > .sentence { display: block; }
    StepScreen.-narrow Choice.-in-row { layout: vertical; height: auto; }
    StepScreen.-short #narrow, StepScreen.-short #lead { display: none; }
    StepScreen.-wide #page { padding: 1 8 0 8; }
    StepScreen.-wide StatusLine { padding: 0 8; }
    StepScreen.-wide #buttons { padding: 0 8; }
    StepScreen #buttons { height: 1; padding: 0 2; margin-bottom: 1; }
    StepScreen.-roomy #buttons { margin-top: 1; }
    StepScreen.-tall StatusLine, StepScreen.-roomy StatusLine { margin-top: 1; }
    StepScreen.-tall.-more StatusLine { margin-top: 0; }
    StepScreen.-short #buttons { margin: 0; }
    StepScreen #buttons Button { margin-right: 2; }
    StepScreen #buttons .space { width: 1fr; height: 1; }
    StepScreen.-narrow #buttons { padding: 0 1; }
    StepScreen.-narrow #buttons Button { margin-right: 1; }
    StepScreen.-narrow #buttons #next { margin-right: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "proceed", show=False),
        Binding("escape", "back", show=False),
        Binding("down", "read('down')", show=False),
        Binding("up", "read('up')", show=False),
        Binding("pagedown", "read('page_down')", show=False),
        Binding("pageup", "read('page_up')", show=False),
    ]

    title_text: ClassVar[str] = ""
    lead_text: ClassVar[str] = ""
    next_label: ClassVar[str] = "Next"

    @property
    def wizard(self) -> "WizardApp":
        """The App, for its journey, its door and its workers."""
        return cast("WizardApp", self.app)

    @property
    def journey(self) -> Journey:
        """Where the operator goes, and the answers so far."""
        return self.wizard.journey

    def compose(self) -> ComposeResult:
        """The same frame everywhere."""
        yield StepHeader(self.STEP, *self.journey.number(self.STEP))
        yield Static(leaving.NARROW, id="narrow", markup=False)
        with Vertical(id="page"):
            yield Static(self.said(self.title_text), id="title", markup=False)
            yield Static(self.said(self.lead_text), id="lead", markup=False)
            yield from self.content()
        yield StatusLine()
        with Horizontal(id="buttons"):
            back = Button("Back", id="back")
            back.display = self.journey.before(self.STEP) is not None
            yield back
            yield from self.extra_buttons()
            yield Static(classes="space")
            yield Button(self.next_label, id="next", variant="primary")
        yield KeyLine()

    def on_screen_resume(self) -> None:
        """The keys are known once the page is there."""
        self.show_keys()

    def said(self, text: str) -> str:
        """A text with the domain in it."""
        return text.format(domain=self.journey.answers.mail_domain or "your server")

    def content(self) -> Iterable[Widget]:
        """The page's own part."""
        return ()

    def extra_buttons(self) -> Iterable[Button]:
        """Between “back” and “next”."""
        return ()

    def keys(self) -> Sequence[KeyHint]:
        """The page's own keys."""
        return ()

    @property
    def focus_chain(self) -> list[Widget]:
        """Fields, then the button that goes on, the others, and the one that goes back."""
        return sorted(super().focus_chain, key=_turn)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Enter may mean something else now."""
        self.show_keys()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """Likewise."""
        self.show_keys()

    def _enter(self) -> list[KeyHint]:
        """What Enter does: it presses the button that has the focus, else it goes on."""
        button = self.focused if isinstance(self.focused, Button) else self.query_one("#next", Button)
        return [] if button.disabled else [KeyHint("Enter", str(button.label), f"screen.press('{button.id}')", True)]

    def action_press(self, button_id: str) -> None:
        """As Enter does."""
        self.query_one(f"#{button_id}", Button).press()

    def show_keys(self) -> None:
        """In the last line."""
        if not self.query(KeyLine):
            return
        hints = self._enter()
        if self.query_one("#back").display:
            hints.append(KeyHint("Esc", "Back", "screen.back", True))
        hints += self.keys()
        hints += [KeyHint("Ctrl-C", "Leave", "app.leave", True), KeyHint("F2", "Light/dark", "app.switch_theme")]
        self.query_one(KeyLine).show(hints)

    def action_read(self, move: str) -> None:
        """Scroll what is too long for the page, wherever the focus is."""
        lists: list[Widget] = [one for one in self.query(CheckList) if one.display]
        for one in lists or [self.query_one("#page")]:
            getattr(one, f"scroll_{move}")(animate=False)

    @on(MoreLine.Counted)
    def _more_counted(self, message: MoreLine.Counted) -> None:
        """The line that says it takes the room of the empty one above the status."""
        self.set_class(bool(message.above or message.below), "-more")

    def on_key(self, event: events.Key) -> None:
        """What is typed while a button has the focus goes where it can only be meant for."""
        if event.is_printable and event.character and not event.character.isspace():
            self._type(event, event.character)

    def on_paste(self, event: events.Paste) -> None:
        """Likewise."""
        self._type(event, event.text.partition("\n")[0])

    def _type(self, event: events.Event, text: str) -> None:
        fields = [one for one in self.focus_chain if isinstance(one, Input)]
        if len(fields) == 1 and self.focused is not fields[0]:
            event.stop()
            fields[0].focus()
            fields[0].insert_text_at_cursor(text)

    def head(self, title: str, lead: str = "") -> None:
        """Another title, when the page comes to another state."""
        self.query_one("#title", Static).update(self.said(title))
        self.query_one("#lead", Static).update(self.said(lead))

    def say(self, mark: Mark | None, text: str = "") -> None:
        """In the status line."""
        self.query_one(StatusLine).say(mark, text)

    def allow_next(self, allowed: bool, label: str = "") -> None:
        """Whether “next” can be pressed; Enter follows."""
        button = self.query_one("#next", Button)
        button.disabled = not allowed
        if label:
            button.label = label
            # A button keeps the width of its first label otherwise.
            button.refresh(layout=True)
        self.show_keys()

    def show_buttons(self, shown: bool) -> None:
        """Back and next are out of sight while nothing but waiting is possible."""
        self.query_one("#back").display = shown and self.journey.before(self.STEP) is not None
        self.query_one("#next").display = shown
        self.show_keys()

    @on(Button.Pressed, "#next")
    def action_proceed(self) -> None:
        """Enter, or the button."""
        if not self.query_one("#next", Button).disabled:
            self.proceed()

    @on(Button.Pressed, "#back")
    def action_back(self) -> None:
        """Escape, or the button."""
        if self.can_go_back():
            self.wizard.go_back(self.STEP)

    def can_go_back(self) -> bool:
        """Whether nothing here must be finished first."""
        return True

    def proceed(self) -> None:
        """To the next page, unless a page asks for more."""
        self.wizard.go_on(self.STEP)

    @on(Stopped)
    def _stopped(self, message: Stopped) -> None:
        self.say(Mark.FAILED, message.sentence)
        self.work_stopped()

    def work_stopped(self) -> None:
        """Work in the background ended without a result; the status line says why already."""


def _turn(widget: Widget) -> int:
    if not isinstance(widget, Button):
        return 0
    return {"next": 1, "back": 3}.get(widget.id or "", 2)
