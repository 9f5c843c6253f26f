"""A line to type into that keeps the order of its keys, however fast they come."""

from typing import Final

from textual import events
from textual.binding import Binding
from textual.widgets import Input

_EDITING: Final = {
    key: binding.action for binding in Input.BINDINGS if isinstance(binding, Binding) for key in binding.key.split(",")
}


class LineInput(Input):
    """An `Input` whose editing keys count before what is typed after them.

    Textual lets them bubble to the App and back, while letters are taken at once: Ctrl-U and a word that come in one
    piece over a slow line would leave nothing, since the letters come first and Ctrl-U removes them.
    """

    async def on_key(self, event: events.Key) -> None:
        """Do at once what the key is for here."""
        action = _EDITING.get(event.key)
        if action is not None:
            event.stop()
            await self.run_action(action)
