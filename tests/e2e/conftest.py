"""One relay and one core per module: starting them is what costs time, accounts are cheap."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deltachat_rpc_client import DeltaChat

from tests.support.deltachat import Phone, running_core
from tests.support.relay import TryRelay
from tests.support.served import Server

PhoneFactory = Callable[..., Phone]


@pytest.fixture(scope="module")
def relay(pyz: Path, loopback_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TryRelay]:
    """The built file, running `try` on an address of its own."""
    with TryRelay(pyz, loopback_address, tmp_path_factory.mktemp("relay") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeltaChat]:
    """Delta Chat core, without profiles."""
    with running_core(tmp_path_factory.mktemp("core") / "accounts") as running:
        yield running


@pytest.fixture(scope="module")
def new_phone(relay: TryRelay, core: DeltaChat) -> PhoneFactory:
    """Make a fresh profile on `relay`."""

    def make(name: str = "", link: str = "") -> Phone:
        return Phone(core, link or relay.new_account().link, name)

    return make


@pytest.fixture(scope="module")
def alice(new_phone: PhoneFactory) -> Phone:
    """A profile for the tests of a module."""
    return new_phone("Alice")


@pytest.fixture(scope="module")
def bob(new_phone: PhoneFactory) -> Phone:
    """Another one."""
    return new_phone("Bob")


@pytest.fixture
def server(tmp_path: Path, free_loopback_address: str) -> Server:
    """A server of this source tree, to be started."""
    return Server(tmp_path, free_loopback_address)
