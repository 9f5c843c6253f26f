"""What the site answers, without a socket."""

import json
from random import Random

import pytest

from chatmail.config import Config, ListenConfig, TlsConfig
from chatmail.policy.sign_up_rate import Rate, SignUpRate
from chatmail.web.autoconfig import AUTOCONFIG_PATHS
from chatmail.web.languages import LANGUAGES
from chatmail.web.messages import Registration, SiteState, WebRequest, WebResponse
from chatmail.web.site import Site, security_headers

DOMAIN = "chat.example.org"
OPEN = SiteState(certificate_is_trusted=True, registration="open")
PUBLIC = Config(DOMAIN)
SELF_SIGNED = Config("192.0.2.7", listen=ListenConfig(imaps=8993, submissions=8465), tls=TlsConfig(mode="self-signed"))


def _ask(
    site: Site,
    method: str,
    path: str,
    *,
    state: SiteState = OPEN,
    now: float = 0.0,
    host: str = DOMAIN,
    accept_language: str = "",
    lang: str = "",
) -> WebResponse:
    return site.answer(WebRequest(method, path, host, {"lang": lang}, accept_language, "198.51.100.1"), state, now)


def _site(config: Config = PUBLIC, rate: SignUpRate | None = None) -> Site:
    return Site(config, Random(4), rate)


def _header(response: WebResponse, name: str) -> str | None:
    return dict(response.headers).get(name)


def _one_per_hour() -> SignUpRate:
    return SignUpRate(per_network=Rate(per_second=1 / 3600, burst=1))


@pytest.mark.parametrize("path", ["/new", "/cgi-bin/newemail.py"])
def test_post_new_hands_out_an_account_of_the_form_clients_read(path: str) -> None:
    response = _ask(_site(), "POST", path)
    answer = json.loads(response.body)
    assert (response.status, response.content_type) == (200, "application/json")
    assert answer.keys() == {"email", "password"}
    localpart, _, domain = answer["email"].partition("@")
    assert (len(localpart), domain) == (9, DOMAIN)
    assert len(answer["password"]) > PUBLIC.accounts.password_min_length
    assert _header(response, "Cache-Control") == "no-store"


def test_two_posts_hand_out_two_accounts() -> None:
    site = _site()
    assert _ask(site, "POST", "/new").body != _ask(site, "POST", "/new").body


def test_post_new_never_redirects_not_even_on_www() -> None:
    assert _ask(_site(), "POST", "/new", host=f"www.{DOMAIN}").status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_browser_at_new_is_sent_to_the_app(method: str) -> None:
    response = _ask(_site(), method, "/new")
    assert (response.status, _header(response, "Location")) == (301, f"dcaccount:https://{DOMAIN}/new")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_where_clients_cannot_use_dcaccount_the_answer_has_a_login_link(method: str) -> None:
    answer = json.loads(_ask(_site(SELF_SIGNED), method, "/new").body)
    assert answer["email"].endswith("@[192.0.2.7]")
    assert answer["dclogin_url"].startswith(f"dclogin:{answer['email']}?p={answer['password']}&v=1&")
    assert "ip=8993" in answer["dclogin_url"]
    assert answer["dclogin_url"].endswith("&ic=3")


@pytest.mark.parametrize(("registration", "status"), [("closed", 403), ("invite", 403), ("busy", 503)])
def test_without_open_registration_there_is_a_reason_instead(registration: Registration, status: int) -> None:
    state = SiteState(True, registration)
    response = _ask(_site(), "POST", "/new", state=state)
    assert response.status == status
    assert list(json.loads(response.body)) == ["reason"]
    assert _ask(_site(), "GET", "/qr.svg", state=state).status == status
    page = _ask(_site(), "GET", "/", state=state)
    assert json.loads(response.body)["reason"] in page.body.decode()
    assert b"dcaccount:" not in page.body


def test_the_reason_is_in_the_language_asked_for() -> None:
    state = SiteState(True, "closed")
    response = _ask(_site(), "POST", "/new", state=state, accept_language="ru")
    assert json.loads(response.body)["reason"].startswith("Сейчас")


def test_too_many_accounts_from_one_network_have_to_wait() -> None:
    site = _site(rate=_one_per_hour())
    assert _ask(site, "POST", "/new", now=10.0).status == 200
    refused = _ask(site, "POST", "/new", now=11.0)
    assert (refused.status, _header(refused, "Retry-After")) == (429, "3600")
    assert list(json.loads(refused.body)) == ["reason"]
    assert _ask(site, "POST", "/new", now=3610.0).status == 200


def test_a_page_for_one_person_counts_as_an_account_and_is_not_kept() -> None:
    site = _site(SELF_SIGNED, _one_per_hour())
    first = _ask(site, "GET", "/")
    assert (first.status, _header(first, "Cache-Control")) == (200, "no-store")
    assert b'href="dclogin:' in first.body
    second = _ask(site, "GET", "/")
    assert second.status == 429
    assert b"dclogin:" not in second.body


def test_pages_for_everybody_do_not_count() -> None:
    site = _site(rate=_one_per_hour())
    assert {_ask(site, "GET", path).status for path in ("/", "/", "/qr.svg", "/qr.png", "/new")} == {200, 301}


def test_qr_codes_come_as_svg_and_png() -> None:
    svg, png = _ask(_site(), "GET", "/qr.svg"), _ask(_site(), "GET", "/qr.png")
    assert svg.content_type == "image/svg+xml"
    assert b"<svg " in svg.body
    assert png.content_type == "image/png"
    assert png.body.startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize("config", [PUBLIC, SELF_SIGNED], ids=["public", "self-signed"])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/", "/info", "/privacy", "/nothing"])
def test_every_page_exists_in_every_language_without_script_style_or_foreign_content(
    config: Config, language: str, path: str
) -> None:
    response = _ask(_site(config), "GET", path, accept_language=language)
    page = response.body.decode()
    assert response.status == (404 if path == "/nothing" else 200)
    assert f'<html lang="{language}" dir="{"rtl" if language == "fa" else "ltr"}">' in page
    assert _header(response, "Content-Language") == language
    assert _header(response, "Vary") == "Accept-Language"
    for forbidden in ("<script", "style=", "<style", 'src="http', "javascript:", "onclick", "{", "%7B"):
        assert forbidden not in page


def test_a_language_can_be_chosen_by_link() -> None:
    assert b'lang="de"' in _ask(_site(), "GET", "/info", lang="de", accept_language="es").body[:100]
    assert b'lang="es"' in _ask(_site(), "GET", "/info", lang="xx", accept_language="es").body[:100]


@pytest.mark.parametrize("path", AUTOCONFIG_PATHS)
@pytest.mark.parametrize("host", [DOMAIN, f"autoconfig.{DOMAIN}", "AUTOCONFIG.Chat.Example.Org:443"])
def test_autoconfig_is_at_both_addresses(path: str, host: str) -> None:
    response = _ask(_site(), "GET", path, host=host)
    assert (response.status, response.content_type) == (200, "application/xml")


@pytest.mark.parametrize("path", ["/autodiscover/autodiscover.xml", "/wp-login.php", "/new/", "//", "/../etc/passwd"])
def test_what_is_not_served_is_a_404(path: str) -> None:
    assert _ask(_site(), "GET", path).status == 404


def test_the_mail_transport_policy_names_our_one_mx() -> None:
    response = _ask(_site(), "GET", "/.well-known/mta-sts.txt", host=f"mta-sts.{DOMAIN}")
    assert response.content_type == "text/plain"
    assert response.body == b"version: STSv1\r\nmode: enforce\r\nmx: chat.example.org\r\nmax_age: 2419200\r\n"


def test_no_policy_is_enforced_that_the_certificate_cannot_keep() -> None:
    state = SiteState(certificate_is_trusted=False, registration="open")
    assert _ask(_site(), "GET", "/.well-known/mta-sts.txt", state=state).status == 404


def test_robots_are_asked_to_stay_away() -> None:
    assert _ask(_site(), "GET", "/robots.txt").body == b"User-agent: *\nDisallow: /\n"


def test_www_leads_to_the_bare_domain() -> None:
    response = _ask(_site(), "GET", "/privacy", host=f"WWW.{DOMAIN}:443")
    assert (response.status, _header(response, "Location")) == (301, f"https://{DOMAIN}/privacy")


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "/\r\nSet-Cookie: a=b"])
def test_a_redirect_never_leaves_the_server(path: str) -> None:
    response = _ask(_site(), "GET", path, host=f"www.{DOMAIN}")
    location = _header(response, "Location") or ""
    assert location.startswith(f"https://{DOMAIN}/")
    assert not location.startswith(f"https://{DOMAIN}//")
    assert "\r" not in location
    assert "\n" not in location


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_other_methods_are_refused(method: str) -> None:
    response = _ask(_site(), method, "/new")
    assert (response.status, _header(response, "Allow")) == (405, "GET, HEAD")


def test_hsts_is_sent_only_where_the_certificate_is_real() -> None:
    assert "Strict-Transport-Security" in dict(security_headers(OPEN))
    headers = dict(security_headers(SiteState(False, "open")))
    assert "Strict-Transport-Security" not in headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'; img-src 'self';")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


# --- port 80 --------------------------------------------------------------------------------------------------------


def _ask_plain(method: str, path: str, host: str, config: Config = PUBLIC) -> WebResponse:
    return Site(config, Random(4)).answer_plain(WebRequest(method, path, host=host), {"token": "token.key"}.get)


@pytest.mark.parametrize(
    ("host", "path", "location"),
    [
        (DOMAIN, "/", f"https://{DOMAIN}/"),
        (f"www.{DOMAIN}:80", "/info", f"https://www.{DOMAIN}/info"),
        (f"MTA-STS.{DOMAIN}", "/x", f"https://mta-sts.{DOMAIN}/x"),
        ("192.0.2.1", "/privacy", f"https://{DOMAIN}/privacy"),
        ("evil.example", "//evil.example", f"https://{DOMAIN}/evil.example"),
        ("", "/ü", f"https://{DOMAIN}/%C3%BC"),
    ],
)
def test_port_80_leads_to_https(host: str, path: str, location: str) -> None:
    response = _ask_plain("GET", path, host)
    assert (response.status, _header(response, "Location")) == (301, location)


def test_port_80_names_an_unusual_https_port() -> None:
    config = Config("192.0.2.7", listen=ListenConfig(https=8443), tls=TlsConfig(mode="self-signed"))
    assert _header(_ask_plain("GET", "/", "192.0.2.7:8080", config), "Location") == "https://192.0.2.7:8443/"


def test_an_acme_challenge_is_answered_on_port_80() -> None:
    response = _ask_plain("GET", "/.well-known/acme-challenge/token", DOMAIN)
    assert (response.status, response.body) == (200, b"token.key")
    assert _ask_plain("GET", "/.well-known/acme-challenge/other", DOMAIN).status == 404
    assert _ask_plain("GET", "/.well-known/acme-challenge/", DOMAIN).status == 404


def test_no_account_is_handed_out_in_the_clear() -> None:
    response = _ask_plain("POST", "/new", DOMAIN)
    assert response.status == 403
    assert json.loads(response.body) == {"reason": f"Please use https://{DOMAIN}/"}
