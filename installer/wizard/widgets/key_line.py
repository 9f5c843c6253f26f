"""The last line: which keys do what. Each can be clicked; where not all fit, the least needed go."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.content import Content
from textual.widgets import Static

GAP = "   "


@dataclass(frozen=True, slots=True)
class KeyHint:
    """A key, what it does in a word, and the action; `needed` ones stay in the narrowest window."""

    key: str
    label: str
    action: str
    needed: bool = False


def fitting(hints: Sequence[KeyHint], width: int) -> list[KeyHint]:
    """As many as fit into `width` cells, in their order; the last that are not needed go first."""
    kept = list(hints)
    while kept and sum(len(hint.key) + 1 + len(hint.label) for hint in kept) + len(GAP) * (len(kept) - 1) > width:
        spare = [hint for hint in kept if not hint.needed]
        kept.remove((spare or kept)[-1])
    return kept


class KeyLine(Static):
    """Shows the hints it was given last."""

    DEFAULT_CSS = """
    KeyLine { dock: bottom; height: 1; padding: 0 2; background: $footer-background; color: $text-muted; }
    KeyLine {
        link-style: none; link-color: $text-muted; link-background: transparent;
        link-style-hover: none; link-color-hover: $foreground; link-background-hover: $panel;
    }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._hints: Sequence[KeyHint] = ()

    def show(self, hints: Sequence[KeyHint]) -> None:
        """Other keys count now."""
        self._hints = hints
        self._draw()

    def on_resize(self, event: events.Resize) -> None:
        """Another number of them fits."""
        self._draw()

    def _draw(self) -> None:
        kept = fitting(self._hints, self.content_size.width)
        parts = [f"[@click={hint.action}][$accent b]{hint.key}[/] {hint.label}[/]" for hint in kept]
        self.update(Content.from_markup(GAP.join(parts)))
