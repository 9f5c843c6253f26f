"""The languages of the pages: choosing one (RFC 9110 §12.5.4), their texts, their plurals and digits.

A text is looked up by key in `texts/LANGUAGE.toml`. Values put into a text are escaped; the texts are ours and may
hold markup.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from markupsafe import Markup

DEFAULT_LANGUAGE: Final = "en"
LANGUAGES: Final[Mapping[str, str]] = {
    "en": "English",
    "de": "Deutsch",
    "es": "Español",
    "fa": "فارسی",
    "ru": "Русский",
}
"""Code and own name, in the order of the menu."""
RIGHT_TO_LEFT: Final = frozenset({"fa"})

_MAX_RANGES: Final = 32
# language-range [ OWS ";" OWS "q=" qvalue ]; qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
_LANGUAGE_RANGE: Final = re.compile(
    r"\s*(\*|[A-Za-z]{1,8})((?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*[qQ]\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?"
)
_PERSIAN_DIGITS: Final = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


def choose_language(accept_language: str) -> str:
    """The best of our languages for an Accept-Language header; English if it names none of them.

    Ranges match by their first subtag (`de-CH` is served German). Malformed members are passed over, and members
    beyond the 32nd are not looked at.
    """
    weights: dict[str, float] = {}
    for member in accept_language.split(",")[:_MAX_RANGES]:
        match = _LANGUAGE_RANGE.fullmatch(member)
        if match is not None:
            tag = match[1].lower()
            weights[tag] = max(weights.get(tag, 0.0), float(match[3] or 1))
    anything = weights.pop("*", 0.0)
    best, best_weight = DEFAULT_LANGUAGE, 0.0
    for tag, weight in weights.items():
        if tag in LANGUAGES and weight > best_weight:
            best, best_weight = tag, weight
    return DEFAULT_LANGUAGE if anything > best_weight and DEFAULT_LANGUAGE not in weights else best


def _one_or_many(count: int) -> int:
    return 0 if count == 1 else 1


def _always_one_form(count: int) -> int:
    return 0


def _russian(count: int) -> int:
    # CLDR: one — 1, 21, 31…; few — 2–4, 22–24…; many — the rest, among it 11–14.
    if count % 10 == 1 and count % 100 != 11:
        return 0
    return 1 if count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14) else 2


_PLURAL_FORM: Final[Mapping[str, Callable[[int], int]]] = {"fa": _always_one_form, "ru": _russian}


class Texts:
    """All texts of one language."""

    __slots__ = ("_plurals", "_texts", "direction", "language")

    def __init__(self, language: str, catalog: Mapping[str, object]) -> None:
        """`catalog` holds strings, and lists of strings: the plural forms of a noun."""
        self.language = language
        self.direction = "rtl" if language in RIGHT_TO_LEFT else "ltr"
        self._texts = {key: Markup(text) for key, text in catalog.items() if isinstance(text, str)}
        self._plurals = {key: forms for key, forms in catalog.items() if isinstance(forms, list)}

    @property
    def keys(self) -> frozenset[str]:
        """Every key there is, of texts and of plurals."""
        return frozenset(self._texts) | frozenset(self._plurals)

    def __call__(self, key: str, **values: object) -> Markup:
        """The text of `key`, its `{placeholders}` filled with `values`, escaped."""
        return self._texts[key].format(**values)

    def count(self, key: str, number: int) -> str:
        """`number` with its noun in the right form, such as `20 days`."""
        form = _PLURAL_FORM.get(self.language, _one_or_many)(number)
        return str(self._plurals[key][form]).format(n=self.number(number))

    def number(self, number: int) -> str:
        """`number` in the digits of this language."""
        return str(number).translate(_PERSIAN_DIGITS) if self.language == "fa" else str(number)


@cache
def texts_of(language: str) -> Texts:
    """The texts of one of `LANGUAGES`."""
    source = files("chatmail.web").joinpath("texts", f"{language}.toml").read_text(encoding="utf-8")
    return Texts(language, tomllib.loads(source))
