"""Ports are bound all or none, and a port that cannot be had is explained."""

import errno
import os
import socket
from dataclasses import replace

import pytest

from chatmail import listeners as module
from chatmail.config import Config, ListenConfig
from chatmail.errors import OperatorError
from chatmail.listeners import PROTOCOLS, bind_listeners, owner_of_port

OFF = ListenConfig(("127.0.0.1",), smtp=0, submission=0, submissions=0, imap=0, imaps=0, https=0, http=0)


def free_port(address: str = "127.0.0.1") -> int:
    with socket.create_server((address, 0)) as probe:
        return int(probe.getsockname()[1])


def config(listen: ListenConfig) -> Config:
    return Config("x.org", listen=listen)


def complaint(listen: ListenConfig) -> str:
    with pytest.raises(OperatorError) as caught:
        bind_listeners(config(listen))
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


def test_a_port_of_zero_is_off_and_every_other_listens() -> None:
    port = free_port()
    listeners = bind_listeners(config(replace(OFF, imaps=port)))
    assert {name: len(listeners.sockets(name)) for name in PROTOCOLS} == dict.fromkeys(PROTOCOLS, 0) | {"imaps": 1}
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    listeners.close()


def test_both_families_listen_side_by_side_on_all_addresses() -> None:
    listeners = bind_listeners(config(replace(OFF, addresses=("0.0.0.0", "::"), imaps=free_port("0.0.0.0"))))
    families = [one.family for one in listeners.sockets("imaps")]
    listeners.close()
    assert families == ([socket.AF_INET, socket.AF_INET6] if socket.has_dualstack_ipv6() else [socket.AF_INET])


def test_a_port_in_use_names_the_port_the_key_and_the_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sentence = complaint(replace(OFF, imap=free_port(), imaps=port))
    assert sentence.startswith(f"Port {port} (imaps) is already in use by ")
    assert f"(pid {os.getpid()})" in sentence and "change imaps in [listen]" in sentence


def test_when_one_port_fails_the_others_are_free_again() -> None:
    first = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        complaint(replace(OFF, smtp=first, imaps=taken.getsockname()[1]))
    with socket.create_server(("127.0.0.1", first)):
        pass


def test_an_address_of_another_machine_is_said_to_be_one() -> None:
    assert "192.0.2.1 is not an address of this machine" in complaint(replace(OFF, addresses=("192.0.2.1",), imap=4143))


def fail_binding(monkeypatch: pytest.MonkeyPatch, number: int, address: str) -> None:
    bind = module._bind

    def failing(to: str, port: int) -> socket.socket:
        if to == address:
            raise OSError(number, os.strerror(number))
        return bind(to, port)

    monkeypatch.setattr(module, "_bind", failing)


def test_a_privileged_port_without_permission_comes_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_binding(monkeypatch, errno.EACCES, "127.0.0.1")
    assert "CAP_NET_BIND_SERVICE" in complaint(replace(OFF, imaps=993))


def test_a_machine_without_ipv6_is_served_by_the_default_addresses_but_not_when_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_binding(monkeypatch, errno.EAFNOSUPPORT, "::")
    listen = replace(OFF, imaps=free_port("0.0.0.0"), addresses=ListenConfig().addresses)
    listeners = bind_listeners(config(listen))
    assert len(listeners.sockets("imaps")) == 1
    listeners.close()
    assert "has no IPv6" in complaint(replace(listen, addresses=("::",)))


def test_nobody_owns_a_free_port() -> None:
    assert owner_of_port(free_port()) is None
