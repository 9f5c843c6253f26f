"""Who may have an account now: what the configuration says, until the operator says otherwise at run time.

What the operator chose is kept in the store, together with what the configuration said then: it lasts until they
choose again, or change that line of the configuration.
"""

from collections.abc import Callable
from typing import Final, Literal, cast

from chatmail.config import Config
from chatmail.log import Log
from chatmail.storage.store import SettingStore
from chatmail.web.messages import Registration

Mode = Literal["open", "invite", "closed"]
MODES: Final = ("open", "invite", "closed")
SETTING: Final = "registration"

log = Log("registration")


class RegistrationSwitch:
    """The mode in force. Call `load` once before it is asked."""

    def __init__(self, config: Config, settings: SettingStore, shortage: Callable[[], str | None]) -> None:
        """`shortage` says what the machine has too little of for new accounts, None if nothing."""
        self._configured: Mode = config.accounts.registration
        self._settings = settings
        self._shortage = shortage
        self._mode: Mode = self._configured

    async def load(self) -> None:
        """Read what was chosen at run time."""
        kept = await self._settings.get(SETTING)
        mode, _, configured = (kept or "").partition(" over ")
        if mode in MODES and configured == self._configured:
            self._mode = cast(Mode, mode)
            log.info("registration_chosen_at_run_time", mode=mode, configured=configured)

    def mode(self) -> Mode:
        """What is in force now."""
        return self._mode

    @property
    def configured(self) -> Mode:
        """What the configuration says."""
        return self._configured

    async def choose(self, mode: Mode) -> None:
        """From now on, and after a restart."""
        await self._settings.put(SETTING, None if mode == self._configured else f"{mode} over {self._configured}")
        self._mode = mode
        log.info("registration_changed", mode=mode)

    def state(self) -> Registration:
        """What the web page says of new accounts at this moment."""
        if self._mode == "open" and self._shortage() is not None:
            return "busy"
        return self._mode
