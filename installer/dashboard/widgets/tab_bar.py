"""The names of the pages in one line, each with the key that opens it."""

from collections.abc import Mapping
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from installer.dashboard.line import line


class Tab(Widget):
    """One name."""

    def __init__(self, key: str, page: str, name: str, *, is_shown: bool) -> None:
        super().__init__(classes="-shown" if is_shown else "")
        self._key, self._page, self._title = key, page, name

    def render(self) -> Content:
        """Key and name."""
        return line((self._key, "bold"), f" {self._title}").content

    def on_click(self, event: events.Click) -> None:
        """Open the page."""
        event.stop()
        self.post_message(TabBar.Chosen(self._page))


class TabBar(Horizontal):
    """All of them; `shown` is the one on the screen."""

    DEFAULT_CSS = """
    TabBar { height: 1; background: $panel; }
    TabBar Tab { width: auto; height: 1; padding: 0 1; color: $text-muted; }
    TabBar Tab:hover { background: $surface; }
    TabBar Tab.-shown { background: $primary; color: $background; text-style: bold; }
    """

    PAGES: ClassVar[Mapping[str, str]] = {
        "overview": "Overview",
        "queue": "Queue",
        "federation": "Federation",
        "accounts": "Accounts",
        "certificate": "Certificate",
        "log": "Log",
    }
    """By the name of the page; its key is its place."""

    class Chosen(Message):
        """Somebody wants to see a page."""

        def __init__(self, page: str) -> None:
            super().__init__()
            self.page = page

    def __init__(self, shown: str) -> None:
        super().__init__()
        self._shown = shown

    def compose(self) -> ComposeResult:
        """In their order."""
        for number, (page, name) in enumerate(self.PAGES.items(), start=1):
            yield Tab(str(number), page, name, is_shown=page == self._shown)
