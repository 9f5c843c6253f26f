"""Renders the pages: templates of this package, texts of one language, facts from the configuration. Pure.

Templates escape every value (Jinja2 autoescape) and carry no script and no inline style.
"""

from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from markupsafe import Markup

from chatmail.config import MIB, Config
from chatmail.invite_link import qr_svg, web_url
from chatmail.web.autoconfig import imap_ports, smtp_ports
from chatmail.web.languages import LANGUAGES, texts_of
from chatmail.web.messages import Registration

if TYPE_CHECKING:
    from jinja2 import Environment

APP_LINKS: Final = (
    ("Android (F-Droid)", "https://f-droid.org/packages/com.b44t.messenger/"),
    ("Android (Google Play)", "https://play.google.com/store/apps/details?id=chat.delta"),
    ("iPhone & iPad", "https://apps.apple.com/app/delta-chat/id1459523234"),
    ("Windows, macOS, Linux", "https://get.delta.chat/"),
)
"""Where people get Delta Chat: name and address."""
LARGE_MESSAGE_KILOBYTES: Final = 200
"""From this size on, the shorter retention for large messages holds."""
_TEMPLATES: Final = ("page.html", "sign_up.html", "info.html", "privacy.html", "not_found.html")


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the sign-up page offers: a link, and whether it is for one person (`dclogin:`) or for all (`dcaccount:`)."""

    link: str
    for_one_person: bool


@cache
def asset(name: str) -> bytes:
    """A file of this package: style sheet or icon."""
    return files("chatmail.web").joinpath("templates", name).read_bytes()


@cache
def _environment() -> "Environment":
    from jinja2 import DictLoader, Environment, StrictUndefined  # 2.5 MiB that the first page brings, not the start

    templates = {name: asset(name).decode() for name in _TEMPLATES}
    return Environment(
        loader=DictLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def load_templates() -> None:
    """Import what makes pages and compile the templates: some tenths of a second, better spent in a thread."""
    for name in _TEMPLATES:
        _environment().get_template(name)


@cache
def style_version() -> str:
    """Changes whenever the style sheet does, so that browsers may keep it."""
    return blake2b(asset("style.css"), digest_size=6).hexdigest()


class Pages:
    """The pages of one server. Every method answers a whole HTML document in the language asked for."""

    __slots__ = ("_config",)

    def __init__(self, config: Config) -> None:
        """Everything a page says about the server comes from `config`."""
        self._config = config

    def sign_up(self, language: str, registration: Registration, invitation: Invitation | None, *, wait: bool) -> bytes:
        """The front page; without an invitation it says why there is none: `wait`, or by `registration`."""
        return self._render(
            "sign_up.html",
            "/",
            language,
            registration=registration,
            wait=wait,
            invitation=invitation,
            qr=_inline_svg(invitation.link) if invitation else "",
            app_links=APP_LINKS,
        )

    def info(self, language: str, registration: Registration) -> bytes:
        """What an operator of another server, or a curious person, wants to know: ports, limits, contacts."""
        return self._render(
            "info.html",
            "/info",
            language,
            registration=registration,
            imap=imap_ports(self._config.listen),
            smtp=smtp_ports(self._config.listen),
            mailbox_mb=_megabytes(self._config.mail.max_mailbox_size),
            message_mb=_megabytes(self._config.mail.max_message_size),
        )

    def privacy(self, language: str) -> bytes:
        """The privacy policy, true to the settings in force."""
        privacy = self._config.privacy
        named = (
            ("postal", privacy.postal),
            ("mail", privacy.mail),
            ("pdo", privacy.pdo),
            ("supervisor", privacy.supervisor),
        )
        return self._render(
            "privacy.html",
            "/privacy",
            language,
            notifier=urlsplit(self._config.push.notifier_url).hostname,
            contacts=[(key, value) for key, value in named if value],
        )

    def not_found(self, language: str) -> bytes:
        """Nothing is at this address."""
        return self._render("not_found.html", "/", language)

    def _render(self, template: str, path: str, language: str, **values: object) -> bytes:
        config = self._config
        page = _environment().get_template(template)
        text = page.render(
            t=texts_of(language),
            path=path,
            languages=LANGUAGES,
            config=config,
            domain=config.mail_domain,
            web_url=web_url(config),
            large_kb=LARGE_MESSAGE_KILOBYTES,
            style_version=style_version(),
            **values,
        )
        return text.encode()


def _megabytes(size_bytes: int) -> int:
    return max(1, round(size_bytes / MIB))


def _inline_svg(link: str) -> Markup:
    """The QR code as an element: an XML declaration is not allowed inside HTML."""
    _declaration, _, element = qr_svg(link).decode().rpartition("?>")
    return Markup(element)
