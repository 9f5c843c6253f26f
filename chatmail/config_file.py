"""Reads the configuration file."""

import os
from pathlib import Path
from typing import Final

from chatmail.config import Config, parse_config
from chatmail.errors import ConfigError

MAX_CONFIG_BYTES: Final = 1_000_000


def read_config(path: str) -> Config:
    """Read and parse a configuration file. Raises `ConfigError` in one sentence that names the file."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_CONFIG_BYTES} bytes; it cannot be a configuration file.")
        return parse_config(content.decode())
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; create it, or name another file with --config.") from None
    except PermissionError as error:
        remedy = "check its owner and mode"
        if os.geteuid() != 0:
            remedy = "put sudo before the command, or name another file with --config"
        raise ConfigError(f"{path} cannot be read ({error.strerror}); {remedy}.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); check its owner and mode.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
