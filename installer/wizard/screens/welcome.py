"""The first page: is the machine ready, and what does the operator want to do here?"""

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget
from textual.widgets import Button, Static

from chatmail import api
from installer.wizard.journey import Offer, Step, offers
from installer.wizard.marks import Mark, counted, preflight_row, worst_first
from installer.wizard.messages import MachineKnown, MachineLooked
from installer.wizard.screens.step_screen import StepScreen
from installer.wizard.texts import welcome as texts
from installer.wizard.widgets.check_list import CheckList
from installer.wizard.widgets.choice import Choice
from installer.wizard.widgets.key_line import KeyHint
from installer.wizard.widgets.more_line import MoreLine


class WelcomeScreen(StepScreen):
    """Looks at the machine while the operator reads."""

    STEP = Step.WELCOME
    title_text = texts.TITLE
    lead_text = texts.LEAD
    DEFAULT_CSS = """
    WelcomeScreen #offers { margin-top: 1; }
    WelcomeScreen.-more #offers-title { margin-top: 0; }
    WelcomeScreen #offers-title { margin-top: 1; text-style: bold; height: auto; display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._offers: tuple[Offer, ...] = ()

    def content(self) -> Iterable[Widget]:
        """The list, and below it what may be chosen."""
        checks = CheckList(id="checks")
        yield checks
        yield MoreLine(checks)
        yield Static(texts.INSTALLED, id="offers-title")

    def extra_buttons(self) -> Iterable[Button]:
        """To look again, once that makes sense."""
        again = Button(texts.LOOK_AGAIN, id="again")
        again.display = False
        yield again

    def keys(self) -> Sequence[KeyHint]:
        """Enter looks again where it cannot go on."""
        again, following = self.query_one("#again", Button), self.query_one("#next", Button)
        wanted = again.display and following.disabled and not isinstance(self.focused, Button)
        return (KeyHint("Enter", texts.LOOK_AGAIN, "screen.look_again", True),) if wanted else ()

    def on_mount(self) -> None:
        """Begin at once."""
        self._look()

    def _look(self) -> None:
        self.allow_next(False)
        self.say(Mark.WORKING, texts.LOOKING)
        self.wizard.work.look(self, self.wizard.options)

    @on(MachineLooked)
    def _looked(self, message: MachineLooked) -> None:
        self.query_one(CheckList).add(preflight_row(message.check, message.state))

    @on(MachineKnown)
    async def _known(self, message: MachineKnown) -> None:
        checks = self.query_one(CheckList)
        stops, warnings = counted(checks.rows)
        await checks.replace(worst_first(checks.rows))
        self.say(Mark.STOP if stops else Mark.WARNING if warnings else Mark.OK, texts.summary(stops, warnings))
        again = self.query_one("#again", Button)
        again.display = bool(stops or warnings)
        self.wizard.know(message.state)
        await self._offer(message.state)
        self.allow_next(not stops)
        (again if stops else self.query_one("#offers" if self.query(Choice) else "#next")).focus()

    async def _offer(self, state: api.InstalledState) -> None:
        """What can be done here, where there is more than one thing."""
        self._offers = offers(state, api.VERSION)
        await self.query(Choice).remove()
        several = len(self._offers) > 1
        self.query_one("#offers-title").display = several
        if several:
            rows = [(offer.key, offer.title, offer.sentence) for offer in self._offers]
            await self.query_one("#page").mount(Choice(rows, self._offers[0].key, id="offers"))

    @on(Button.Pressed, "#again")
    async def action_look_again(self) -> None:
        """From the beginning."""
        await self.query_one(CheckList).replace(())
        self.query_one("#again").display = False
        self._look()

    def proceed(self) -> None:
        """On the course that was chosen."""
        chosen = self.query(Choice)
        key = chosen.first().value if chosen else self._offers[0].key
        self.wizard.set_out(next(offer for offer in self._offers if offer.key == key))

    def work_stopped(self) -> None:
        """It can be tried again."""
        self.query_one("#again").display = True
