"""Routes as real DNS answers lead: nsd serves the zones."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from time import monotonic

import pytest

from chatmail.config import Config
from chatmail.net.mail_routes import MailHost, MailRoutes, NoRouteError
from chatmail.net.resolver import Resolver
from tests.support.name_server import NameServer
from tests.support.outbound import config, routes

ZONE = """
two-hosts IN MX 20 second.example.
two-hosts IN MX 10 first.example.
first IN A 192.0.2.1
first IN AAAA 2001:db8::1
second IN A 198.18.0.2
public IN MX 10 public-mx
public-mx IN A 8.8.8.8
public-mx IN A 10.0.0.1
implicit IN A 8.8.4.4
null IN MX 0 .
nothing IN TXT "no mail here"
dangling IN MX 10 gone.example.
loop IN MX 10 our.example.
backup IN MX 20 our.example.
backup IN MX 10 public-mx
backup IN MX 30 first
back-here IN MX 10 alias
alias IN CNAME us
us IN A 127.77.0.1
_self IN MX 10 public-mx
inside IN A 192.168.1.1
home IN MX 10 localhost
localhost IN A 127.0.0.1
nowhere IN A 0.0.0.0
many IN MX 1 h1
many IN MX 2 h2
many IN MX 3 h3
many IN MX 4 h4
many IN MX 5 h5
many IN MX 6 h6
circle IN CNAME circle2
circle2 IN CNAME circle
our IN A 8.8.8.9
private IN A 10.9.9.9
""" + "".join(f"h{number} IN A 9.9.9.{number}\n" for number in range(1, 7))


@pytest.fixture(scope="module")
def dns(loopback_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with NameServer(tmp_path_factory.mktemp("nsd"), loopback_address, {"example": ZONE}) as server:
        yield server.address


def our_config(dns: str, mail_domain: str = "our.example") -> Config:
    made = replace(config(resolver=dns), mail_domain=mail_domain)
    return replace(made, listen=replace(made.listen, addresses=("127.77.0.1",)))


@pytest.fixture
def our(dns: str) -> MailRoutes:
    return routes(our_config(dns))


async def refused(our: MailRoutes, domain: str) -> str:
    with pytest.raises(NoRouteError) as caught:
        await our.find(domain)
    return str(caught.value.reply)


async def test_hosts_come_by_preference_each_with_all_its_addresses(dns: str) -> None:
    found = await routes(our_config(dns, "private.example")).find("two-hosts.example")
    assert [(host.name, set(host.addresses), host.is_verified) for host in found] == [
        ("first.example", {"192.0.2.1", "2001:db8::1"}, True),
        ("second.example", {"198.18.0.2"}, True),
    ]


async def test_without_mx_the_domain_itself_is_the_host(our: MailRoutes) -> None:
    assert await our.find("implicit.example") == (MailHost("implicit.example", ("8.8.4.4",), True),)


async def test_a_domain_with_an_underscore_proves_nothing(our: MailRoutes) -> None:
    [host] = await our.find("_self.example")
    assert not host.is_verified


@pytest.mark.parametrize(
    ("domain", "reply"),
    [
        ("null.example", "556 5.1.10 This domain does not accept mail"),
        ("missing.example", "512 5.1.2 Domain missing.example does not exist"),
        ("nothing.example", "550 5.4.4 "),
        ("dangling.example", "550 5.4.4 "),
        ("loop.example", "554 5.4.6 "),
        ("back-here.example", "554 5.4.6 "),
        ("[127.77.0.1]", "554 5.4.6 "),
        ("inside.example", "554 5.4.4 "),
        ("home.example", "554 5.4.4 "),
        ("[127.0.0.1]", "554 5.4.4 "),
        ("[169.254.169.254]", "554 5.4.4 "),
        ("[ipv6:::1]", "554 5.4.4 "),
        ("[ipv6:::ffff:10.0.0.1]", "554 5.4.4 "),
        ("nowhere.example", "550 5.4.4 "),
        ("circle.example", "451 4.4.3 "),
        ("elsewhere.invalid", "451 4.4.3 "),
    ],
)
async def test_what_leads_nowhere_is_told_with_its_reason(our: MailRoutes, domain: str, reply: str) -> None:
    assert (await refused(our, domain)).startswith(reply)


async def test_a_private_address_beside_a_public_one_is_left_out(our: MailRoutes) -> None:
    [host] = await our.find("public.example")
    assert host.addresses == ("8.8.8.8",)


@pytest.mark.parametrize("mail_domain", ["private.example", "10.1.1.1", "127.0.0.9"])
async def test_a_server_of_a_private_network_reaches_its_neighbours(dns: str, mail_domain: str) -> None:
    [host] = await routes(our_config(dns, mail_domain)).find("inside.example")
    assert host.addresses == ("192.168.1.1",)


async def test_a_ca_file_of_ones_own_means_a_private_network(dns: str) -> None:
    made = our_config(dns)
    made = replace(made, federation=replace(made.federation, ca_file="/etc/own.pem"))
    assert (await routes(made).find("inside.example"))[0].addresses == ("192.168.1.1",)


async def test_as_a_backup_only_those_before_us_are_asked(our: MailRoutes) -> None:
    assert [host.name for host in await our.find("backup.example")] == ["public-mx.example"]


async def test_only_so_many_hosts_are_tried(our: MailRoutes) -> None:
    assert [host.name for host in await our.find("many.example")] == [f"h{number}.example" for number in range(1, 6)]


async def test_a_dns_that_does_not_answer_is_a_reason_to_wait(free_loopback_address: str) -> None:
    made = our_config(f"{free_loopback_address}")
    our = MailRoutes(made, lambda: Resolver(made.dns.resolvers, lifetime_seconds=0.3), monotonic, lambda: 0.0)
    async with asyncio.timeout(5):
        assert (await refused(our, "public.example")).startswith("451 4.4.3")


async def test_routes_are_kept_until_they_fail(dns: str) -> None:
    now = 0.0
    asked = []
    made = our_config(dns)

    def resolver() -> Resolver:
        asked.append(now)
        return Resolver(made.dns.resolvers)

    our = MailRoutes(made, resolver, lambda: now, lambda: 0.0)
    await our.find("implicit.example")
    questions = len(asked)
    await our.find("implicit.example")
    assert len(asked) == questions
    our.forget("implicit.example")
    await our.find("implicit.example")
    assert len(asked) == 2 * questions
    now = 61.0
    await our.find("implicit.example")
    assert len(asked) == 3 * questions
