"""What `try` makes of its options, and what it prints for a phone."""

from pathlib import Path
from random import Random
from urllib.parse import parse_qs, urlsplit

import pytest

from chatmail.config import parse_config
from chatmail.config_text import config_as_toml
from chatmail.errors import ConfigError, OperatorError
from chatmail.try_relay import default_data_dir, prepare_data_dir, try_config, welcome

DATA = Path("/tmp/data")


def test_all_ports_are_moved_up_and_only_the_one_address_is_used() -> None:
    config = try_config("127.0.0.1", 8000, DATA)
    listen = config.listen
    ports = (listen.smtp, listen.http, listen.imap, listen.https, listen.submissions, listen.submission, listen.imaps)
    assert ports == (8025, 8080, 8143, 8443, 8465, 8587, 8993)
    assert (listen.addresses, config.address_domain) == (("127.0.0.1",), "[127.0.0.1]")


def test_its_configuration_is_one_that_a_file_could_hold() -> None:
    config = try_config("fd00::1", 0, DATA)
    assert parse_config(config_as_toml(config)) == config


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "::", "224.0.0.1", "fe80::1%lo", ""])
def test_a_host_that_is_no_machines_address_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=r"^--host .*\.$"):
        try_config(host, 8000, DATA)


@pytest.mark.parametrize("base", [-1, 64543])
def test_a_base_that_leaves_the_range_of_ports_is_refused(base: int) -> None:
    with pytest.raises(ConfigError, match="--port-base must be a whole number from 0 to 64542"):
        try_config("127.0.0.1", base, DATA)


def test_the_data_folder_follows_the_users_environment() -> None:
    assert default_data_dir({"HOME": "/home/a"}) == Path("/home/a/.local/share/chatmail-try")
    assert default_data_dir({"HOME": "/home/a", "XDG_DATA_HOME": "/data"}) == Path("/data/chatmail-try")


def test_folders_above_the_data_folder_are_made_or_refused_in_one_sentence(tmp_path: Path) -> None:
    prepare_data_dir(tmp_path / "a" / "b" / "data")
    assert (tmp_path / "a" / "b").is_dir()
    with pytest.raises(OperatorError, match=r"cannot be made .*; name another data folder with --data\."):
        prepare_data_dir(Path("/proc/nowhere/data"))


def test_the_welcome_ends_with_a_link_that_carries_all_a_client_needs() -> None:
    text = welcome(try_config("127.0.0.1", 8000, DATA), Random(1), encoding="utf-8", colored=False)
    assert "https://127.0.0.1:8443/" in text and str(DATA) in text and "▄" in text
    link = urlsplit(text.splitlines()[-1])
    localpart, _, domain = link.path.partition("@")
    assert (link.scheme, len(localpart), domain) == ("dclogin", 9, "[127.0.0.1]")
    parameters = {name: values[0] for name, values in parse_qs(link.query).items()}
    assert len(parameters.pop("p")) == 12
    assert parameters == {
        "v": "1",
        **{"ih": "127.0.0.1", "ip": "8993", "is": "ssl"},
        **{"sh": "127.0.0.1", "sp": "8465", "ss": "ssl"},
        "ic": "3",
    }


def test_a_terminal_without_block_elements_gets_the_link_alone() -> None:
    welcome(try_config("127.0.0.1", 8000, DATA), Random(1), encoding="ascii", colored=True).encode("ascii")
