"""Whatever a browser sends, one of our languages comes out, and the order of equal members decides."""

from hypothesis import given
from hypothesis import strategies as st

from chatmail.web.languages import LANGUAGES, choose_language

_weights = st.integers(min_value=1, max_value=1000).map(lambda thousandths: thousandths / 1000)
_wishes = st.dictionaries(st.sampled_from(list(LANGUAGES)), _weights, min_size=1)


@given(st.text(max_size=200))
def test_any_header_chooses_one_of_ours(header: str) -> None:
    assert choose_language(header) in LANGUAGES


@given(_wishes)
def test_the_heaviest_wish_wins(wishes: dict[str, float]) -> None:
    header = ", ".join(f"{language};q={weight:.3f}" for language, weight in wishes.items())
    assert wishes[choose_language(header)] == max(wishes.values())
