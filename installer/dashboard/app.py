"""The dashboard's App, and the door to it."""

import asyncio
from collections.abc import Callable
from typing import ClassVar, Final

from textual import on, work
from textual.binding import Binding, BindingType
from textual.screen import Screen

from chatmail.api import OperatorError
from installer.dashboard import commands, terminal
from installer.dashboard.commands import Command
from installer.dashboard.messages import (
    AccountRead,
    CommandDone,
    CommandProgress,
    InvitationMade,
    ItemsRead,
    LineBroken,
    LogRead,
    MomentTaken,
    ServerLost,
)
from installer.dashboard.moment import Moment, Outage
from installer.dashboard.screens.accounts import AccountsPage
from installer.dashboard.screens.certificate import CertificatePage
from installer.dashboard.screens.federation import FederationPage
from installer.dashboard.screens.items import ItemsWindow
from installer.dashboard.screens.log import LogPage
from installer.dashboard.screens.overview import OverviewPage
from installer.dashboard.screens.page import Page
from installer.dashboard.screens.progress import ProgressWindow
from installer.dashboard.screens.queue import QueuePage
from installer.dashboard.screens.window import Window
from installer.dashboard.source import ServerSource, Source
from installer.dashboard.widgets.tab_bar import TabBar
from installer.dashboard.work import Clock, MonotonicClock, Watch, invite, read_account, read_items, run_command
from installer.themed_app import ThemedApp
from installer.widgets.confirmation import ConfirmationModal
from installer.widgets.qr_code import QrScreen

PAGES: Final[tuple[type[Page], ...]] = (
    OverviewPage, QueuePage, FederationPage, AccountsPage, CertificatePage, LogPage,
)  # fmt: skip
"""In the order of their keys, which is also that of the names in the tab bar."""


def run_dashboard(config_path: str) -> int:
    """Show the server with this configuration until the operator leaves, or the terminal does; the exit code.

    Raises `ConfigError`.
    """
    app = Dashboard(ServerSource(config_path), terminal_is_gone=terminal.is_gone)
    app.run()
    return app.return_code or 0


class Dashboard(ThemedApp):
    """Holds what is known, and gives it to the page on top."""

    MODES: ClassVar[dict[str, str | Callable[[], Screen[None]]]] = {page.name_of_page: page for page in PAGES}
    DEFAULT_MODE = OverviewPage.name_of_page
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"page({page.name_of_page!r})", show=False)
            for number, page in enumerate(PAGES, start=1)
        ),
        Binding("q,ctrl+c", "quit", "Quit"),
    ]

    def __init__(
        self, source: Source, clock: Clock | None = None, *, terminal_is_gone: Callable[[], bool] = lambda: False
    ) -> None:
        super().__init__()
        self.source = source
        self._watch = Watch(source, self.post_message, terminal_is_gone, clock or MonotonicClock())
        self._moment: Moment | None = None
        self._outage: Outage | None = None

    def on_mount(self) -> None:
        """Begin to look."""
        if not self.is_headless:
            loop = asyncio.get_running_loop()
            terminal.leave_on_signals(lambda: loop.call_soon_threadsafe(self.exit))
        self._look()

    @work(thread=True, group="watch")
    def _look(self) -> None:
        self._watch.run()

    async def on_unmount(self) -> None:
        """The thread must not outlive the app."""
        self._watch.stop()

    @on(LineBroken)
    def _line_broken(self) -> None:
        if not self.is_headless:
            terminal.end_anyway(1)
        self.exit()

    # --- what is known ---

    @on(MomentTaken)
    def _moment_taken(self, message: MomentTaken) -> None:
        self._moment, self._outage = message.moment, None
        self._show()

    @on(ServerLost)
    def _server_lost(self, message: ServerLost) -> None:
        self._moment, self._outage = None, message.outage
        self._show()

    def _show(self) -> None:
        page = self.screen_stack[0]
        if isinstance(page, Page):
            page.outage, page.moment = self._outage, self._moment

    @on(LogRead)
    def _log_read(self, message: LogRead) -> None:
        if isinstance(page := self.screen_stack[0], LogPage):
            page.show_log(message)

    @on(ItemsRead)
    def _items_read(self, message: ItemsRead) -> None:
        if isinstance(self.screen, ItemsWindow):
            self.screen.show(message)

    @on(AccountRead)
    def _account_read(self, message: AccountRead) -> None:
        if isinstance(page := self.screen_stack[0], AccountsPage):
            page.show_account(message)

    # --- pages ---

    @on(TabBar.Chosen)
    async def _page_chosen(self, message: TabBar.Chosen) -> None:
        await self.action_page(message.page)

    async def action_page(self, name: str) -> None:
        """Open a page, with what is known."""
        if isinstance(self.screen, Page):
            await self.switch_mode(name)
            self._watch.wants_log = name == LogPage.name_of_page
            self._show()

    # --- what is asked for ---

    def ask(self, command: Command) -> None:
        """Have a command done once it is confirmed."""

        def answered(yes: bool | None) -> None:
            if yes:
                if command.takes_long:
                    self.push_screen(ProgressWindow(command.title))
                self._run(command)

        self.push_screen(ConfirmationModal(command.title, command.question, yes=command.yes, no="Cancel"), answered)

    @work(thread=True, group="commands")
    def _run(self, command: Command) -> None:
        run_command(self.source, command, self.post_message)

    @work(thread=True, group="items")
    def read_items(self, domain: str) -> None:
        """Ask what waits for a domain; `ItemsRead` comes of it."""
        read_items(self.source, domain, self.post_message)

    @work(thread=True, group="account", exclusive=True)
    def read_account(self, address: str) -> None:
        """Ask what is known of an account; `AccountRead` comes of it."""
        read_account(self.source, address, self.post_message)

    def sign_up(self, registration: str) -> None:
        """The code for everybody; where people are invited one for a new invitation, and none where it is closed."""
        if registration == "closed":
            return self.notify("Registration is closed: no code gives an account. G opens it.", severity="warning")
        if registration == "invite":
            question = ConfirmationModal("Invite", commands.INVITE_QUESTION, yes="Invite", no="Cancel")
            return self._push_question(question)
        try:
            self.push_screen(QrScreen(self.source.sign_up_link()))
        except OperatorError as error:
            self.notify(str(error), severity="error", markup=False)

    def _push_question(self, question: ConfirmationModal) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._invite()

        self.push_screen(question, answered)

    @work(thread=True, group="commands")
    def _invite(self) -> None:
        invite(self.source, self.post_message)

    @on(InvitationMade)
    def _invitation_made(self, message: InvitationMade) -> None:
        self.push_screen(QrScreen(message.link))

    @on(CommandProgress)
    def _command_progress(self, message: CommandProgress) -> None:
        if isinstance(self.screen, ProgressWindow):
            self.screen.step(message)

    @on(CommandDone)
    def _command_done(self, message: CommandDone) -> None:
        if isinstance(self.screen, ProgressWindow):
            return self.screen.end(message)
        if isinstance(self.screen, Window):
            self.screen.command_done()
        self.notify(
            message.sentence,
            title=message.title,
            severity="error" if message.failed else "information",
            markup=False,
        )
