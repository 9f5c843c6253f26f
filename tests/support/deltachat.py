"""The real client in tests: Delta Chat core through its JSON-RPC server, waiting on events and never on time."""

import subprocess
import sys
import warnings
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from shlex import quote
from time import monotonic
from typing import Any

from deltachat_rpc_client import Account, AttrDict, DeltaChat, Rpc

from tests.support.tools import require_tool

EVENT_SECONDS = 45.0
"""How long a test waits for something the client should see; far above what it takes."""

Event = dict[str, Any]


@contextmanager
def running_core(accounts_dir: Path, hosts: Mapping[str, str] | None = None, resolver: str = "") -> Iterator[DeltaChat]:
    """Start Delta Chat core with an empty profile folder (which must not exist yet).

    `hosts` are names with their addresses that it sees in place of /etc/hosts, `resolver` is the name server it asks
    in place of this machine's; either takes root.
    """
    server = Path(sys.executable).with_name("deltachat-rpc-server")
    own: dict[str, str] = {}
    if hosts:
        own["/etc/hosts"] = "".join(f"{address} {name}\n" for name, address in hosts.items())
    if resolver:
        own["/etc/resolv.conf"] = f"nameserver {resolver}\n"
    if own:
        server = _with_files(server, accounts_dir.parent, own)
    # Its own log is noise here; events carry what a test wants to know.
    rpc = Rpc(accounts_dir=str(accounts_dir), rpc_server_path=str(server), stderr=subprocess.DEVNULL)
    with rpc:
        try:
            yield DeltaChat(rpc)
        finally:
            process = rpc.process
    # The library leaves the ended process and its pipe to the garbage collector.
    process.wait(timeout=EVENT_SECONDS)
    assert process.stdout is not None
    process.stdout.close()


def _with_files(server: Path, folder: Path, files: Mapping[str, str]) -> Path:
    """A script that runs `server` in a mount namespace where `files` have another content."""
    mounts = []
    for place, content in files.items():
        file = folder / Path(place).name
        file.write_text(content)
        mounts.append(f"mount --bind {quote(str(file))} {place}")
    script, inner = folder / "server", " && ".join([*mounts, f"exec {quote(str(server))}"])
    script.write_text(f"#!/bin/sh\nexec {require_tool('unshare')} --mount sh -c {quote(inner)}\n")
    script.chmod(0o700)
    return script


def card_of(address: str) -> str:
    """The vCard of somebody at `address` who has a fresh OpenPGP key, and no client that anybody would see."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of modules and algorithms that are about to go
        import pgpy  # type: ignore[import-untyped]
        from pgpy import constants

        key = pgpy.PGPKey.new(constants.PubKeyAlgorithm.EdDSA, constants.EllipticCurveOID.Ed25519)
        subkey = pgpy.PGPKey.new(constants.PubKeyAlgorithm.ECDH, constants.EllipticCurveOID.Curve25519)
        key.add_uid(
            pgpy.PGPUID.new("", email=address),
            usage={constants.KeyFlags.Sign, constants.KeyFlags.Certify},
            hashes=[constants.HashAlgorithm.SHA256],
            ciphers=[constants.SymmetricKeyAlgorithm.AES256],
            compression=[constants.CompressionAlgorithm.Uncompressed],
        )
        key.add_subkey(subkey, usage={constants.KeyFlags.EncryptCommunications})
    encoded = b64encode(bytes(key.pubkey)).decode()
    return (
        f"BEGIN:VCARD\r\nVERSION:4.0\r\nEMAIL:{address}\r\nFN:{address}\r\n"
        f"KEY:data:application/pgp-keys;base64\\,{encoded}\r\nEND:VCARD\r\n"
    )


class Phone:
    """One profile of the client, and what a person does with it."""

    def __init__(self, core: DeltaChat, link: str, name: str = "") -> None:
        """Make a profile and configure it from `link` (`dclogin:` or `dcaccount:`)."""
        self.account: Account = core.add_account()
        self.account.set_config("autorelay", "0")
        if name:
            self.account.set_config("displayname", name)
        self.account.add_transport_from_qr(link)
        self.bring_online()

    def second_device(self) -> "Phone":
        """Another device of the same account, set up as people do: by a transfer from this one."""
        device = Phone.__new__(Phone)
        device.account = self.account.clone()
        device.account.set_config("autorelay", "0")
        device.bring_online()
        return device

    def bring_online(self) -> None:
        """Start to send and receive, and wait until the inbox is watched."""
        self.account._rpc.start_io(self.account.id)
        self.wait_event("ImapInboxIdle")

    @property
    def address(self) -> str:
        """Its mail address."""
        return str(self.account.get_config("configured_addr"))

    def wait_event(self, kind: str, matches: Callable[[Event], bool] = lambda _event: True) -> Event:
        """Wait for the next event of `kind` that `matches`; fails after `EVENT_SECONDS` naming what came instead."""
        queue = self.account._rpc.get_queue(self.account.id)
        deadline = monotonic() + EVENT_SECONDS
        seen: list[str] = []
        while True:
            try:
                event: Event = AttrDict(queue.get(timeout=max(0.0, deadline - monotonic())))
            except Empty:
                raise AssertionError(f"no {kind} within {EVENT_SECONDS} s; the client saw {seen[-30:]}") from None
            if event["kind"] == kind and matches(event):
                return event
            if event["kind"] in ("Error", "Warning", "MsgFailed", "Info"):
                seen.append(f"{event['kind']}: {event.get('msg', event)}")

    def wait_message(self) -> Any:  # noqa: ANN401 — the client's own untyped snapshot
        """Wait for the next incoming message and return the client's snapshot of it."""
        event = self.wait_event("IncomingMsg")
        return self.account.get_message_by_id(event["msg_id"]).get_snapshot()

    def befriend(self, other: "Phone") -> Any:  # noqa: ANN401
        """A chat with `other` that both have accepted, keys exchanged out of band; returns this side's chat."""
        other.account.create_chat(self.account)
        return self.account.create_chat(other.account)
