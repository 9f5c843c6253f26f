"""Choosing a language; texts, plurals and digits."""

import re
import tomllib
from importlib.resources import files

import pytest

from chatmail.web.languages import LANGUAGES, choose_language, texts_of

PLACEHOLDER = re.compile(r"\{(\w+)\}")
TAG = re.compile(r"</?(\w+)")


def _catalog(language: str) -> dict[str, str | list[str]]:
    return tomllib.loads(files("chatmail.web").joinpath("texts", f"{language}.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-CH, de;q=0.9, en;q=0.8", "de"),
        ("fr, nl;q=0.9", "en"),
        ("fr, es;q=0.5, ru;q=0.7", "ru"),
        ("FA-ir", "fa"),
        ("en;q=0.5, es;q=0.501", "es"),
        ("de;q=0, es;q=0.1", "es"),
        ("de;q=0", "en"),
        ("*", "en"),
        ("de, *", "de"),
        ("*, de;q=0.5", "en"),
        ("en;q=0.1, *;q=0.9, de;q=0.2", "de"),
        ("es ; q=1.000 , de;q=1", "es"),
        ("de;q=1.5, ru;q=abc, es;q=0.2", "es"),
        ("de;level=1, es;q=0.2", "es"),
        (";;;,,,==,\0", "en"),
        ("xx," * 40 + "de", "en"),
    ],
)
def test_the_best_of_our_languages_is_chosen(header: str, language: str) -> None:
    assert choose_language(header) == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text_with_the_same_placeholders(language: str) -> None:
    ours, english = _catalog(language), _catalog("en")
    assert ours.keys() == english.keys()
    for key, text in english.items():
        if isinstance(text, str):
            assert set(PLACEHOLDER.findall(str(ours[key]))) == set(PLACEHOLDER.findall(text)), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_hold_no_markup_but_isolation(language: str) -> None:
    for text in _catalog(language).values():
        assert set(TAG.findall(str(text))) <= {"bdi"}


def test_values_are_escaped() -> None:
    assert texts_of("en")("front_title", domain="<b>") == "Chat on &lt;b&gt;"


@pytest.mark.parametrize(
    ("language", "number", "text"),
    [
        ("en", 1, "1 day"),
        ("en", 20, "20 days"),
        ("de", 1, "1 Tag"),
        ("fa", 20, "۲۰ روز"),
        ("ru", 1, "1 день"),
        ("ru", 3, "3 дня"),
        ("ru", 7, "7 дней"),
        ("ru", 11, "11 дней"),
        ("ru", 21, "21 день"),
        ("ru", 112, "112 дней"),
        ("ru", 0, "0 дней"),
    ],
)
def test_numbers_take_the_right_form(language: str, number: int, text: str) -> None:
    assert texts_of(language).count("days", number) == text


def test_only_persian_runs_from_right_to_left() -> None:
    assert [code for code in LANGUAGES if texts_of(code).direction == "rtl"] == ["fa"]
