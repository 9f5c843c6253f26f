"""The page on the name: judged while it is typed, and looked up."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Label

from chatmail import api
from installer.wizard.journey import Step
from installer.wizard.marks import Mark
from installer.wizard.messages import DomainResolved
from installer.wizard.screens.step_screen import StepScreen
from installer.wizard.texts import domain as texts
from installer.wizard.widgets.choice import Choice
from installer.wizard.widgets.key_line import KeyHint
from installer.wizard.widgets.line_input import LineInput


class DomainScreen(StepScreen):
    """Three kinds of name, one line to type it."""

    STEP = Step.DOMAIN
    title_text = texts.TITLE
    lead_text = texts.LEAD
    DEFAULT_CSS = """
    DomainScreen.-tall #kinds > Option, DomainScreen.-roomy #kinds > Option { margin-bottom: 1; }
    DomainScreen #line { height: 1; }
    DomainScreen #label { width: 12; }
    DomainScreen #line Input { width: 1fr; max-width: 64; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f3", "take_suggestion", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._judged: api.DomainAnswer | api.DomainProblem = api.validate_domain("")
        self._look_up: Timer | None = None
        self._following = False
        self._kind = api.DomainKind.DOMAIN
        self._typed_as: dict[api.DomainKind, str] = {}
        """What stood in the line when another kind was chosen."""

    def content(self) -> Iterable[Widget]:
        """The kinds, then the line."""
        kind = self._kind = self.journey.kind
        yield Choice([(kind, *said) for kind, said in texts.KINDS.items()], kind, id="kinds")
        with Horizontal(id="line"):
            yield Label(texts.LABEL[kind], id="label")
            yield LineInput(self.journey.answers.mail_domain, placeholder=texts.EXAMPLE[kind], select_on_focus=False)

    def on_mount(self) -> None:
        """The line has the focus: most people type a domain."""
        self.query_one(Input).focus()
        self._judge(self.query_one(Input).value)

    @on(Choice.Changed)
    def _kind_chosen(self, event: Choice.Changed) -> None:
        before, kind = self._kind, api.DomainKind(event.value)
        self._kind = kind
        line = self.query_one(Input)
        self.query_one("#label", Label).update(texts.LABEL[kind])
        line.placeholder = texts.EXAMPLE[kind]
        if self._following:
            self._following = False
            return
        self._typed_as[before] = line.value
        line.value = self._typed_as.get(kind) or self._proposal(kind)
        line.cursor_position = len(line.value)
        if kind is api.DomainKind.IP_ADDRESS and not line.value:
            self.say(Mark.WARNING, texts.NO_ADDRESS)

    def _proposal(self, kind: api.DomainKind) -> str:
        """What to begin with where nothing was typed yet: the address, or the name of another kind."""
        if kind is api.DomainKind.IP_ADDRESS:
            return next(iter(self.wizard.door.own_addresses()), "")
        names = (typed.strip().lstrip("_") for typed in self._typed_as.values())
        name = next((one for one in names if _is_name(one)), "")
        return f"_{name}" if kind is api.DomainKind.TEST else name

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._judge(event.value)

    def keys(self) -> Sequence[KeyHint]:
        """To take what was probably meant, while that is on offer."""
        return (KeyHint("F3", texts.TAKE, "screen.take_suggestion"),) if self._suggestion() else ()

    def _suggestion(self) -> str:
        return self._judged.suggestion if isinstance(self._judged, api.DomainProblem) else ""

    def _judge(self, text: str) -> None:
        """Say at once what it means; look it up when the typing pauses."""
        self._judged = judged = api.validate_domain(text)
        if self._look_up is not None:
            self._look_up.stop()
        self.show_keys()
        if isinstance(judged, api.DomainProblem):
            return self._complain(judged, begun=text.strip() not in ("", "_"))
        choice = self.query_one(Choice)
        if choice.value != judged.kind:
            self._following = True
            choice.value = judged.kind
        self.say(Mark.WORKING, texts.LOOKING_UP.format(domain=judged.mail_domain))
        self._look_up = self.set_timer(self.wizard.typing_pause_seconds, self._resolve)

    def _complain(self, problem: api.DomainProblem, *, begun: bool) -> None:
        """Not before somebody has typed enough to be wrong."""
        hint = f" {texts.PERHAPS.format(suggestion=problem.suggestion)}" if problem.suggestion else ""
        self.say(Mark.FAILED if begun else None, problem.sentence + hint)

    def _resolve(self) -> None:
        if isinstance(self._judged, api.DomainAnswer):
            self.wizard.work.resolve(self, self._judged.mail_domain, self.journey.answers.resolvers)

    @on(DomainResolved)
    def _resolved(self, message: DomainResolved) -> None:
        judged, found = self._judged, message.resolution
        if not isinstance(judged, api.DomainAnswer) or found.domain != judged.mail_domain:
            return
        self.say(Mark.OK if found.leads_here else Mark.WARNING, f"{found.sentence} {judged.note}".strip())

    def action_take_suggestion(self) -> None:
        """Put what was probably meant into the line."""
        if suggestion := self._suggestion():
            self.query_one(Input).value = suggestion

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_proceed()

    def proceed(self) -> None:
        """Keep the name."""
        if isinstance(self._judged, api.DomainAnswer):
            self.wizard.journey = self.journey.with_domain(self._judged)
            super().proceed()
        else:
            self._complain(self._judged, begun=True)
            self.query_one(Input).focus()


def _is_name(text: str) -> bool:
    """Whether it is something to go on from when another kind is chosen."""
    judged = api.validate_domain(text)
    return isinstance(judged, api.DomainAnswer) and judged.kind is not api.DomainKind.IP_ADDRESS
