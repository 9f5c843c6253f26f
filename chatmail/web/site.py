"""Answers every request of the web face but files of an own folder. Pure: state, peer and `now` are arguments.

What clients rely on here: `POST /new` answers JSON `{"email", "password"}` (plus `dclogin_url` where clients cannot use
`dcaccount:`) and never redirects; its errors are `{"reason": …}`, which the client shows. `GET /new` redirects to the
`dcaccount:` link. `/cgi-bin/newemail.py` is the address in old printed QR codes. An address that is not served gets
its 404 at once, because a client waits for it while it looks for its settings. RFC 8461 (MTA-STS policy file).
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Final
from urllib.parse import quote

from chatmail.config import Config
from chatmail.dns.records import mta_sts_policy
from chatmail.invite_link import (
    Credentials,
    accepts_dcaccount,
    dcaccount_link,
    login_link,
    qr_png,
    qr_svg,
    random_credentials,
    web_url,
)
from chatmail.policy.sign_up_rate import SignUpRate
from chatmail.web.autoconfig import AUTOCONFIG_PATHS, autoconfig_xml
from chatmail.web.languages import LANGUAGES, choose_language, texts_of
from chatmail.web.messages import Registration, SiteState, WebRequest, WebResponse
from chatmail.web.pages import Invitation, Pages, asset

NEW_ACCOUNT_PATHS: Final = ("/new", "/cgi-bin/newemail.py")
ACME_CHALLENGE_PATH: Final = "/.well-known/acme-challenge/"
MTA_STS_PATH: Final = "/.well-known/mta-sts.txt"
QR_PATHS: Final = ("/qr.svg", "/qr.png")
_MACHINE_PATHS: Final = frozenset((*NEW_ACCOUNT_PATHS, *AUTOCONFIG_PATHS, *QR_PATHS, MTA_STS_PATH))
PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the built-in pages: nothing inline, nothing from elsewhere, no script at all."""
OWN_PAGE_POLICY: Final = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
"""The same for pages of an own folder, which may bring scripts as files."""
_HSTS_SECONDS: Final = 365 * 24 * 3600
_ASSET_SECONDS: Final = 24 * 3600

_HTML: Final = "text/html; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"
Redeem = Callable[[str, Credentials], Awaitable[bool | None]]
"""Makes the account for a token: False if the token is not valid, None if the machine can bear no account now."""
_NO_STORE: Final = ("Cache-Control", "no-store")
_REFUSAL_STATUS: Final[Mapping[Registration, int]] = {"closed": 403, "invite": 403, "busy": 503}


def security_headers(state: SiteState, policy: str = PAGE_POLICY) -> tuple[tuple[str, str], ...]:
    """Headers of every answer over TLS. HSTS only where the certificate is real: else it would lock people out."""
    headers: tuple[tuple[str, str], ...] = (
        ("Content-Security-Policy", policy),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Permissions-Policy", "interest-cohort=(), camera=(), microphone=(), geolocation=()"),
    )
    if state.certificate_is_trusted:
        headers += (("Strict-Transport-Security", f"max-age={_HSTS_SECONDS}"),)
    return headers


class Site:
    """The web face of one server."""

    def __init__(self, config: Config, rng: Random, sign_up_rate: SignUpRate | None = None) -> None:
        """`rng` makes the passwords: `random.SystemRandom()` for anything but a test."""
        self._config = config
        self._rng = rng
        self._rate = sign_up_rate or SignUpRate()
        self._pages = Pages(config)
        self._for_all = accepts_dcaccount(config)
        self._rendered: dict[tuple[str, ...], bytes] = {}
        self._get_routes = self._routes()

    def _routes(self) -> Mapping[str, Callable[[WebRequest, SiteState, float], WebResponse]]:
        routes: dict[str, Callable[[WebRequest, SiteState, float], WebResponse]] = {
            "/": self._sign_up,
            "/info": self._info,
            "/privacy": self._privacy,
            "/style.css": self._style,
            "/favicon.svg": self._icon,
            "/robots.txt": self._robots,
            MTA_STS_PATH: self._mta_sts,
        }
        routes |= dict(zip(QR_PATHS, (self._qr_svg, self._qr_png), strict=True))
        routes |= dict.fromkeys(NEW_ACCOUNT_PATHS, self._new_account_by_browser)
        return routes | dict.fromkeys(AUTOCONFIG_PATHS, self._autoconfig)

    def answer(self, request: WebRequest, state: SiteState, now: float) -> WebResponse:
        """Answer a request that came over TLS; `now` is a monotonic clock in seconds."""
        if request.path in NEW_ACCOUNT_PATHS and request.method == "POST":
            return self._new_account(request, state, now)
        if request.method not in ("GET", "HEAD"):
            return WebResponse(405, _TEXT, b"Method not allowed\n", (("Allow", "GET, HEAD"),))
        if self._is_www(request):
            return WebResponse(301, _TEXT, headers=(("Location", self._own_url(request.path)),))
        route = self._get_routes.get(request.path, self._not_found)
        return route(request, state, now)

    def shows_page(self, request: WebRequest) -> bool:
        """Whether a page of ours is rendered for it, if it comes over TLS."""
        route = self._get_routes.get(request.path, self._not_found)
        return request.method in ("GET", "HEAD") and route in (
            self._sign_up,
            self._info,
            self._privacy,
            self._not_found,
        )

    def may_be_own_page(self, request: WebRequest) -> bool:
        """Whether a file of the operator's may answer, rather than we: not where clients and servers ask."""
        return request.method in ("GET", "HEAD") and request.path not in _MACHINE_PATHS and not self._is_www(request)

    def _is_www(self, request: WebRequest) -> bool:
        return _host_name(request.host) == f"www.{self._config.mail_domain}"

    def answer_plain(self, request: WebRequest, key_authorization: Callable[[str], str | None]) -> WebResponse:
        """Answer a request on port 80: an ACME challenge (RFC 8555 §8.3), else the way to HTTPS.

        `key_authorization` knows the text for a token, or None.
        """
        if request.path.startswith(ACME_CHALLENGE_PATH):
            text = key_authorization(request.path.removeprefix(ACME_CHALLENGE_PATH))
            if text is not None:
                return WebResponse(200, "application/octet-stream", text.encode())
            return WebResponse(404, _TEXT, b"No such challenge\n")
        if request.method not in ("GET", "HEAD"):
            return _refusal(403, f"Please use {web_url(self._config)}")
        host = _host_name(request.host)
        ours = host.removesuffix(f".{self._config.mail_domain}") in ("www", "mta-sts", "autoconfig")
        url = f"https://{host}{_quote_path(request.path)}" if ours else self._own_url(request.path)
        return WebResponse(301, _TEXT, headers=(("Location", url),))

    def _own_url(self, path: str) -> str:
        return web_url(self._config).removesuffix("/") + _quote_path(path)

    # --- accounts -----------------------------------------------------------------------------------------------

    def _new_account(self, request: WebRequest, state: SiteState, now: float) -> WebResponse:
        texts = texts_of(_language(request))
        if state.registration != "open":
            return _refusal(_REFUSAL_STATUS[state.registration], texts(f"refused_{state.registration}"))
        wait_seconds = self._rate.take(request.peer, now)
        if wait_seconds:
            return _refusal(429, texts("refused_wait"), ("Retry-After", str(int(wait_seconds) + 1)))
        return self._credentials(random_credentials(self._rng, self._config))

    def is_by_invitation(self, request: WebRequest, state: SiteState) -> bool:
        """Whether it wants an account for an invitation, `?t=TOKEN`: then `new_account_by_invitation` answers."""
        has_token = request.path in NEW_ACCOUNT_PATHS and "t" in request.query and state.registration != "closed"
        return has_token and (request.method == "POST" or (request.method == "GET" and not self._for_all))

    async def new_account_by_invitation(
        self, request: WebRequest, state: SiteState, now: float, redeem: Redeem
    ) -> WebResponse:
        """Reserve an account with the token of the request; `redeem` makes it."""
        texts = texts_of(_language(request))
        wait_seconds = self._rate.take(request.peer, now)
        if wait_seconds:
            return _refusal(429, texts("refused_wait"), ("Retry-After", str(int(wait_seconds) + 1)))
        credentials = random_credentials(self._rng, self._config)
        made = await redeem(request.query["t"], credentials)
        if made is None:
            return _refusal(503, texts("refused_busy"))
        return self._credentials(credentials) if made else _refusal(403, texts("refused_invitation"))

    def _credentials(self, credentials: Credentials) -> WebResponse:
        answer = {"email": credentials.address, "password": credentials.password}
        if not self._for_all:
            answer["dclogin_url"] = login_link(self._config, credentials)
        return WebResponse(200, _JSON, json.dumps(answer).encode(), (_NO_STORE,))

    def _new_account_by_browser(self, request: WebRequest, state: SiteState, now: float) -> WebResponse:
        if not self._for_all:
            return self._new_account(request, state, now)
        link = dcaccount_link(self._config, request.query.get("t", ""))
        return WebResponse(301, _TEXT, headers=(("Location", link), _NO_STORE))

    def _invitation(self, request: WebRequest, state: SiteState, now: float) -> Invitation | None:
        """The link to offer; None where there is none, which for an open server means: not now."""
        if state.registration != "open":
            return None
        if self._for_all:
            return Invitation(dcaccount_link(self._config), for_one_person=False)
        if self._rate.take(request.peer, now):
            return None
        return Invitation(login_link(self._config, random_credentials(self._rng, self._config)), for_one_person=True)

    def _qr_svg(self, request: WebRequest, state: SiteState, now: float) -> WebResponse:
        return self._qr(request, state, now, "image/svg+xml", qr_svg)

    def _qr_png(self, request: WebRequest, state: SiteState, now: float) -> WebResponse:
        return self._qr(request, state, now, "image/png", qr_png)

    def _qr(
        self, request: WebRequest, state: SiteState, now: float, content_type: str, draw: Callable[[str], bytes]
    ) -> WebResponse:
        invitation = self._invitation(request, state, now)
        if invitation is None:
            status = _REFUSAL_STATUS.get(state.registration, 429)
            return WebResponse(status, _TEXT, b"No account to be had at the moment\n", (_NO_STORE,))
        if invitation.for_one_person:
            return WebResponse(200, content_type, draw(invitation.link), (_NO_STORE,))
        return WebResponse(200, content_type, self._once((content_type,), lambda: draw(invitation.link)))

    # --- pages --------------------------------------------------------------------------------------------------

    def _sign_up(self, request: WebRequest, state: SiteState, now: float) -> WebResponse:
        language = _language(request)
        invitation = self._invitation(request, state, now)
        wait = invitation is None and state.registration == "open"

        def render() -> bytes:
            return self._pages.sign_up(language, state.registration, invitation, wait=wait)

        if wait or (invitation is not None and invitation.for_one_person):
            return WebResponse(429 if wait else 200, _HTML, render(), (_NO_STORE, *_language_headers(language)))
        return _page(self._once(("/", language, state.registration), render), language)

    def _info(self, request: WebRequest, state: SiteState, now: float) -> WebResponse:
        language = _language(request)
        key = ("/info", language, state.registration)
        return _page(self._once(key, lambda: self._pages.info(language, state.registration)), language)

    def _privacy(self, request: WebRequest, state: SiteState, now: float) -> WebResponse:
        language = _language(request)
        return _page(self._once(("/privacy", language), lambda: self._pages.privacy(language)), language)

    def _not_found(self, request: WebRequest, state: SiteState, now: float) -> WebResponse:
        language = _language(request)
        body = self._once(("404", language), lambda: self._pages.not_found(language))
        return WebResponse(404, _HTML, body, _language_headers(language))

    def _once(self, key: tuple[str, ...], render: Callable[[], bytes]) -> bytes:
        """Render what does not change once: there are only so many pages, languages and states."""
        if key not in self._rendered:
            self._rendered[key] = render()
        return self._rendered[key]

    # --- files for machines -------------------------------------------------------------------------------------

    def _style(self, request: WebRequest, state: SiteState, now: float) -> WebResponse:
        return _asset("style.css", "text/css; charset=utf-8")

    def _icon(self, request: WebRequest, state: SiteState, now: float) -> WebResponse:
        return _asset("favicon.svg", "image/svg+xml")

    def _robots(self, request: WebRequest, state: SiteState, now: float) -> WebResponse:
        return WebResponse(200, _TEXT, b"User-agent: *\nDisallow: /\n")

    def _autoconfig(self, request: WebRequest, state: SiteState, now: float) -> WebResponse:
        return WebResponse(200, "application/xml", autoconfig_xml(self._config))

    def _mta_sts(self, request: WebRequest, state: SiteState, now: float) -> WebResponse:
        if not state.certificate_is_trusted:
            # A policy that enforces what this certificate cannot fulfil would keep mail away.
            return WebResponse(404, _TEXT, b"No policy\n")
        return WebResponse(200, "text/plain", mta_sts_policy(self._config).encode())


def _host_name(host: str) -> str:
    """The name in a Host header: no port, lower case."""
    return (host if host.endswith("]") else host.rpartition(":")[0] or host).lower()


def _quote_path(path: str) -> str:
    return "/" + quote(path.lstrip("/\\"), safe="/~-._!$&'()*+,;=:@")


def _language(request: WebRequest) -> str:
    asked = request.query.get("lang", "")
    return asked if asked in LANGUAGES else choose_language(request.accept_language)


def _language_headers(language: str) -> tuple[tuple[str, str], ...]:
    return (("Content-Language", language), ("Vary", "Accept-Language"))


def _page(body: bytes, language: str) -> WebResponse:
    return WebResponse(200, _HTML, body, (("Cache-Control", "no-cache"), *_language_headers(language)))


def _asset(name: str, content_type: str) -> WebResponse:
    return WebResponse(200, content_type, asset(name), (("Cache-Control", f"public, max-age={_ASSET_SECONDS}"),))


def _refusal(status: int, reason: str, *headers: tuple[str, str]) -> WebResponse:
    """The error form clients understand: they show `reason` to the person."""
    body = json.dumps({"reason": str(reason)}, ensure_ascii=False).encode()
    return WebResponse(status, _JSON, body, (_NO_STORE, *headers))
