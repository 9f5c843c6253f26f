"""The last page: the self-test, the code to scan, the address to give away, and what is worth remembering."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Button, Static

from chatmail import api
from installer.widgets.qr_code import QrCode, QrScreen
from installer.wizard.journey import Step
from installer.wizard.marks import Mark, Row, doctor_row, worst_first
from installer.wizard.messages import ServerChecked, ServerKnown
from installer.wizard.screens.step_screen import StepScreen
from installer.wizard.texts import done as texts
from installer.wizard.widgets.check_list import CheckList
from installer.wizard.widgets.key_line import KeyHint

TOLD_COLUMNS = 28
"""The least that what is told takes beside the code."""


class DoneScreen(StepScreen):
    """Scan, and chat."""

    STEP = Step.DONE
    title_text = texts.TITLE_CHECKING
    next_label = texts.FINISH
    DEFAULT_CSS = """
    DoneScreen #lead { display: none; }
    DoneScreen #columns { height: 1fr; }
    DoneScreen #told { width: 1fr; height: 100%; margin-right: 2; }
    DoneScreen #give { height: auto; }
    DoneScreen #remember { height: auto; margin-bottom: 1; }
    DoneScreen #code { display: none; }
    DoneScreen.-beside #code { display: block; }
    DoneScreen.-tall #page { padding: 0 2; }
    DoneScreen.-tall.-narrow #page { padding: 0 1; }
    DoneScreen.-tall.-wide #page { padding: 0 8; }
    DoneScreen.-tall #buttons { margin: 0; }
    DoneScreen.-tall StatusLine { margin: 0; }
    DoneScreen.-roomy StatusLine { margin: 1 0; }
    DoneScreen.-trouble.-tall #remember { display: none; }
    DoneScreen.-trouble.-roomy #remember { display: block; }
    DoneScreen.-narrow #columns { layout: vertical; overflow-y: auto; }
    DoneScreen.-narrow #told { margin-right: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "big_code", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Row] = []
        self._link = ""

    def content(self) -> Iterable[Widget]:
        """What to give away and to remember on the left, the code on the right."""
        config = self.wizard.effective_config()
        open_to_all = config.accounts.registration == "open"
        self._link = api.sign_up_link(config) if open_to_all else ""
        with Horizontal(id="columns"):
            with Vertical(id="told"):
                yield Static(id="give", markup=False)
                yield Static(self._remember(), id="remember", markup=False)
                yield CheckList(names=False, id="tests")
            if self._link:
                yield QrCode(self._link, id="code")

    def _give(self) -> str:
        config = self.wizard.effective_config()
        first = f"{texts.PAGE}\n{api.web_address(config)}"
        closed = {"closed": texts.SCAN_CLOSED, "invite": texts.SCAN_INVITE}.get(config.accounts.registration)
        scan = texts.SCAN if self.has_class("-beside") else texts.SCAN_ALONE
        said = scan if closed is None else closed.format(command=self.wizard.door.as_typed(texts.INVITE))
        return f"{first}\n{said}\n"

    def _remember(self) -> str:
        commands = [self.wizard.door.as_typed(command) for command, _what in api.WORTH_REMEMBERING]
        return "\n".join([f"{texts.REMEMBER}:", *(f"  {command}" for command in commands)])

    def on_resize(self) -> None:
        """Once it is known how much room there is."""
        self.call_after_refresh(self._fit_code)

    def _fit_code(self) -> None:
        if self._link:
            room, needs = self.query_one("#columns").size, self.query_one(QrCode).needs
            self.set_class(room.height >= needs.height and room.width >= needs.width + TOLD_COLUMNS, "-beside")
        self.query_one("#give", Static).update(self._give())
        self.show_keys()

    def extra_buttons(self) -> Iterable[Button]:
        """The test can be made again."""
        yield Button(texts.AGAIN, id="again")

    def keys(self) -> Sequence[KeyHint]:
        """The code, where there is one."""
        if not self._link:
            return ()
        beside = self.has_class("-beside")
        return (KeyHint("Q", texts.CODE_ALONE if beside else texts.CODE, "screen.big_code", needed=not beside),)

    def on_mount(self) -> None:
        """Test at once."""
        self._test()

    @on(Button.Pressed, "#again")
    def _test(self) -> None:
        self._rows = []
        self.query_one("#again", Button).disabled = True
        self.head(texts.TITLE_CHECKING)
        self.say(Mark.WORKING, texts.CHECKING)
        self.query_one("#next").focus()
        self.call_next(self.query_one(CheckList).replace, [])
        config = self.wizard.effective_config()
        self.wizard.work.check_server(self, config, self.journey.answers.acme_ca_file)

    @on(ServerChecked)
    def _checked(self, message: ServerChecked) -> None:
        row = doctor_row(message.check)
        self._rows.append(row)
        self.query_one(CheckList).add(row)

    @on(ServerKnown)
    async def _known(self) -> None:
        mark, said = texts.summary(self._rows)
        await self.query_one(CheckList).replace(worst_first(self._rows))
        self.query_one("#again", Button).disabled = False
        self.head(texts.TITLE_TROUBLE if mark is Mark.FAILED else texts.TITLE)
        self.say(mark, said)
        self.set_class(mark is Mark.FAILED, "-trouble")

    def work_stopped(self) -> None:
        """It can be tested again."""
        self.query_one("#again", Button).disabled = False

    def action_big_code(self) -> None:
        """Alone on the screen."""
        if self._link:
            self.app.push_screen(QrScreen(self._link))

    def proceed(self) -> None:
        """The end."""
        self.wizard.finish()
