"""Programs that tests need and a machine may lack: skipped with the reason, but failed where `CI=true`."""

import os
import shutil
from typing import NoReturn

import pytest


def require_tool(name: str) -> str:
    """The path of the program `name`; without it the test is skipped, or fails in CI."""
    # What a daemon's package installs is not on every user's PATH.
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    return path or lacking(f"the program {name} is not installed (tests/debian-packages.txt names its package)")


def require_root() -> None:
    """Go on only as root."""
    if os.geteuid() != 0:
        lacking("needs root")


def lacking(what: str) -> NoReturn:
    """End the test: skipped because of `what`, or failed in CI, where nothing may be left out silently."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI lacks something: {what}")
    pytest.skip(what)
