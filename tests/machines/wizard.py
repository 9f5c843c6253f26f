"""An operator's way through the wizard, at a terminal: what is waited for on each page, and the keys that go on.

Pages are known by their titles, whatever else stands there. At `at_each_page` somebody may look, or do harm.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from installer.wizard.journey import Step
from installer.wizard.texts import certificate, dns, domain, done, install, leaving, settings, welcome
from tests.machines.terminal import PROMPT, Terminal
from tests.machines.world import World

COMMAND: Final = "sudo python3 chatmail.pyz"
INSTALL_SECONDS: Final = 240.0
_TITLES: Final = {
    Step.WELCOME: welcome.TITLE,
    Step.DOMAIN: domain.TITLE,
    Step.SETTINGS: settings.TITLE,
    Step.DNS: dns.TITLE,
    Step.CERTIFICATE: certificate.TITLE,
    Step.INSTALL: install.TITLE,
    Step.DONE: done.TITLE,
}


def shown(text: str) -> str:
    """A pattern for a text as a screen has it: wrapped, and with something in its gaps."""
    words = re.split(r"\{[^}]*\}|\s+", text)
    return r"[\s\S]{0,60}?".join(re.escape(word) for word in words if word)


@dataclass(slots=True)
class Walk:
    """One operator at one terminal."""

    terminal: Terminal
    world: World
    domain: str
    at_each_page: Callable[[Step], None] = lambda _step: None

    def begin(self, command: str = COMMAND) -> None:
        """Start it, and wait for the look at the machine to end."""
        self.terminal.run(command)
        self.see(Step.WELCOME)
        self.terminal.wait_for("|".join(map(shown, (welcome.FINE, "but nothing stops you", welcome.CANNOT_GO_ON))))

    def see(self, step: Step, seconds: float = 60.0) -> None:
        """Wait for a page."""
        self.terminal.wait_for(shown(_TITLES[step]), seconds)

    def go_on(self, following: Step, seconds: float = 60.0) -> None:
        """Enter, and wait for the page after."""
        self.terminal.press("Enter")
        self.see(following, seconds)

    def name(self) -> None:
        """From the first page to the settings."""
        self.at_each_page(Step.WELCOME)
        self.go_on(Step.DOMAIN)
        self.terminal.type(self.domain)
        self.terminal.wait_for(rf"{re.escape(self.domain)} (leads|does not exist|exists)")
        self.at_each_page(Step.DOMAIN)
        self.go_on(Step.SETTINGS)

    def set(self) -> None:
        """On to the records, and wait until they have been looked for."""
        self.at_each_page(Step.SETTINGS)
        self.go_on(Step.DNS)
        self.looked()

    def looked(self) -> None:
        """Wait until the records have been looked for."""
        self.terminal.wait_for("|".join(map(shown, (dns.WRONG, dns.ALL_RIGHT, dns.ONE_WRONG))))

    def publish(self) -> None:
        """Save the zone to a file, give it to the name servers, and watch it turn green."""
        file = f"/root/{self.domain}.zone"
        self.looked()
        self.terminal.press("s")
        self.terminal.wait_for(shown(dns.SAVE_QUESTION))
        proposed = rf"  \./{re.escape(self.domain)}\.zone"
        self.terminal.wait_for(proposed)
        self.terminal.press("C-u")
        self.terminal.wait_gone(proposed)
        self.terminal.type(file)
        self.terminal.wait_for(rf"  {file}")
        self.terminal.press("Enter")
        self.terminal.wait_for(shown(dns.SAVED.format(path=file)))
        machine = self.world.machine
        self.world.publish(machine.must("cat", file) + "\n")
        machine.must("rm", file)
        self.terminal.wait_for(shown(dns.ALL_RIGHT))
        self.at_each_page(Step.DNS)

    def certify(self) -> None:
        """On to the certificate, and have one."""
        self.go_on(Step.CERTIFICATE)
        self.at_each_page(Step.CERTIFICATE)
        self.terminal.press("Enter")
        self.terminal.wait_for("|".join(map(shown, (certificate.OBTAINED, certificate.FOUND))), 120)

    def plan(self) -> None:
        """On to the plan."""
        self.go_on(Step.INSTALL)
        self.read()
        self.at_each_page(Step.INSTALL)

    def read(self) -> None:
        """The plan, to its end."""
        # The button is there before the plan is.
        while not re.search(shown(install.READY), self.terminal.wait_for(shown("lines change something."))):
            self.terminal.press("NPage")

    def install(self) -> None:
        """Do it, and wait for the last page and its tests."""
        self.terminal.press("Enter")
        self.terminal.wait_for(shown(done.SCAN), INSTALL_SECONDS)
        self.terminal.wait_for("|".join(map(shown, (done.ALL_WELL, done.WARNINGS, "tests failed"))), 120)

    def leave(self) -> str:
        """Ctrl-C and yes; what is said at the end."""
        self.terminal.press("C-c")
        self.terminal.wait_for("|".join(map(shown, (leaving.TITLE, leaving.INSTALLING_TITLE))))
        self.terminal.press("y")
        return self.terminal.wait_for(PROMPT)
