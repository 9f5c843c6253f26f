"""People with phones, outside the machine: real clients that find the server by the names of its world.

One thing they cannot do here: the client has the roots of public authorities built in, and none of them vouches for a
name of this world. So what it does with a `dcaccount:` link, a POST to the address in it, is done for it with the roots
of this world, and it is told to accept the certificate. Of a name that begins with `_` it takes the link as it is.
"""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote, urlsplit

from tests.machines.world import World
from tests.support.deltachat import Phone, running_core


@contextmanager
def two_phones(world: World, link: str, folder: Path) -> Iterator[tuple[Phone, Phone]]:
    """Alice and Bob, each with an account of their own by the same link."""
    with running_core(folder / "accounts", resolver=world.machine.gateway) as core:
        yield Phone(core, usable(world, link), "Alice"), Phone(core, usable(world, link), "Bob")


def usable(world: World, link: str) -> str:
    """A link the client can follow here."""
    address = urlsplit(link.removeprefix("dcaccount:"))
    domain = address.hostname or ""
    if not link.startswith("dcaccount:") or domain.startswith("_"):
        return link
    account = json.loads(_post(world, domain, f"{address.path}?{address.query}".rstrip("?")))
    servers = f"ih={domain}&ip=993&is=ssl&sh={domain}&sp=465&ss=ssl"
    return f"dclogin:{account['email']}?p={quote(account['password'], safe='')}&v=1&{servers}&ic=3"


def _post(world: World, domain: str, path: str) -> bytes:
    """What a POST there answers; the server's certificate must be good in this world."""
    trusting = ssl.create_default_context(cadata=world.roots.decode())
    with (
        socket.create_connection((world.machine.address, 443), timeout=20) as raw,
        trusting.wrap_socket(raw, server_hostname=domain) as secured,
    ):
        connection = HTTPConnection(domain)
        connection.sock = secured
        connection.request("POST", path, headers={"Host": domain})
        return connection.getresponse().read()


def chat(alice: Phone, bob: Phone, text: str) -> None:
    """A message there and one back, both encrypted."""
    alice.befriend(bob).send_text(text)
    received = bob.wait_message()
    assert (received.text, received.show_padlock) == (text, True)
    received.chat.send_text(f"{text}, and back")
    assert alice.wait_message().text == f"{text}, and back"
