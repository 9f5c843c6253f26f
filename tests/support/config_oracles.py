"""What must hold for any text of a configuration: the entry function of the fuzz target."""

from chatmail.config import parse_config
from chatmail.config_text import config_as_toml
from chatmail.errors import ConfigError


def check_config(data: bytes) -> None:
    """It parses or is refused in one readable line; what parses can be written and read back to the same."""
    text = data.decode("utf-8", "replace")
    for document in (text, f'mail_domain = "a.example"\n{text}'):
        try:
            config = parse_config(document)
        except ConfigError as error:
            assert str(error).isprintable() and str(error).endswith("."), str(error)
            continue
        assert parse_config(config_as_toml(config, secrets=True)) == config
