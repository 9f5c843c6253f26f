"""Any text either parses or raises `ConfigError` with one line; a configuration written out parses to the same."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from chatmail.config import Config, keys_of, parse_config
from chatmail.config_text import config_as_toml
from chatmail.config_values import Kind, duration, duration_text, size, size_text
from chatmail.errors import ConfigError

SECTIONS = [name for name, kind in keys_of(Config).items() if not isinstance(kind, Kind)]
KEYS = sorted({key for name in SECTIONS for key in keys_of(type(getattr(Config("x.org"), name)))} | {"mail_domain"})
BARE = st.text("abcdefghijklmnopqrstuvwxyz_-", min_size=1, max_size=12)
VALUE = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.booleans().map(lambda value: str(value).lower()),
    st.text(max_size=20).map(lambda value: '"' + value.replace("\\", "").replace('"', "") + '"'),
    st.just("[]"),
    st.just('["a", 1]'),
    st.just("{a = 1}"),
    st.just("2026-01-01"),
)


def parses_or_complains(text: str) -> None:
    try:
        config = parse_config(text)
    except ConfigError as error:
        assert str(error).isprintable()
    else:
        assert isinstance(config, Config)


@given(st.text())
def test_any_text_parses_or_complains(text: str) -> None:
    parses_or_complains(text)


@given(st.lists(st.tuples(st.sampled_from(SECTIONS) | BARE, st.sampled_from(KEYS) | BARE, VALUE), max_size=5))
def test_any_document_parses_or_complains(entries: list[tuple[str, str, str]]) -> None:
    body = "".join(f"[{section}]\n{key} = {value}\n" for section, key, value in entries)
    parses_or_complains('mail_domain = "x.org"\n' + body)


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    st.integers(1, 65535),
    st.floats(0, 1e9),
    st.lists(st.sampled_from(["a.org", "b.example", "xn--bcher-kva.example"]), unique=True),
)
def test_a_configuration_written_out_parses_to_the_same(
    comment: str, port: int, load: float, domains: list[str]
) -> None:
    config = Config("x.org")
    config = replace(
        config,
        metadata=replace(config.metadata, comment=comment, turn_port=port),
        limits=replace(config.limits, max_load_1m=load),
        federation=replace(config.federation, blocked_domains=tuple(domains)),
    )
    assert parse_config(config_as_toml(config, secrets=True)) == config


@given(st.integers(0, 2**50))
def test_sizes_and_durations_are_written_so_that_they_parse_back(number: int) -> None:
    assert size(0, 2**50).parse(size_text(number)) == number
    assert duration(0, 2**50).parse(duration_text(number % 10**9)) == number % 10**9
