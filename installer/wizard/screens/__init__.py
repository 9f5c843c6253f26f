"""The pages, one file each; `step_screen` is what they have in common, and `screen_of` makes the one for a step."""

from collections.abc import Callable

from installer.wizard.journey import Step
from installer.wizard.screens.certificate import CertificateScreen
from installer.wizard.screens.dns import DnsScreen
from installer.wizard.screens.domain import DomainScreen
from installer.wizard.screens.done import DoneScreen
from installer.wizard.screens.install import InstallScreen
from installer.wizard.screens.settings import SettingsScreen
from installer.wizard.screens.step_screen import StepScreen
from installer.wizard.screens.welcome import WelcomeScreen

_SCREENS: dict[Step, Callable[[], StepScreen]] = {
    Step.WELCOME: WelcomeScreen,
    Step.DOMAIN: DomainScreen,
    Step.SETTINGS: SettingsScreen,
    Step.DNS: DnsScreen,
    Step.CERTIFICATE: CertificateScreen,
    Step.INSTALL: InstallScreen,
    Step.DONE: DoneScreen,
}


def screen_of(step: Step) -> StepScreen:
    """A fresh page; what was answered before is in the journey."""
    return _SCREENS[step]()
