"""Fixtures that every test may ask for: the built file, and addresses to listen on."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.addresses import loopback_addresses

ROOT = Path(__file__).resolve().parent.parent
# The built file unpacks itself below build/, which build.py keeps small, and not into the developer's home.
os.environ.setdefault("SHIV_ROOT", str(ROOT / "build" / "unpacked"))

# A machine that is busy with other tests makes an example slow, and proves nothing about it.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zipapp built from the present sources; a copy, so that a later build does not change it under a test."""
    subprocess.run([sys.executable, str(ROOT / "build.py")], check=True, cwd=ROOT)
    copy = tmp_path_factory.mktemp("dist") / "chatmail.pyz"
    shutil.copy2(ROOT / "dist" / "chatmail.pyz", copy)
    return copy


@pytest.fixture(scope="session")
def _addresses() -> Iterator[str]:
    return loopback_addresses()


@pytest.fixture
def free_loopback_address(_addresses: Iterator[str]) -> str:
    """An address of 127.0.0.0/8 that nobody else uses, for this test alone."""
    return next(_addresses)


@pytest.fixture(scope="module")
def loopback_address(_addresses: Iterator[str]) -> str:
    """An address of 127.0.0.0/8 that nobody else uses, for the tests of one module."""
    return next(_addresses)
