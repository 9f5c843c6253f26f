import asyncio
import time
from pathlib import Path

import pytest

from chatmail.mail.message import HeaderBlock, header_length
from chatmail.net.dkim import FRESH_SECONDS, MAX_CACHED_NAMES, MAX_KEY_AGE_SECONDS, DkimVerifier, KeyCache
from chatmail.net.dns_answers import DnsFailureError
from chatmail.net.resolver import Resolver
from chatmail.policy.inbound import DkimResult
from tests.support.dkim_samples import (
    FOREIGN,
    RFC_DOMAIN,
    RFC_MESSAGE,
    RFC_RECORDS,
    Zone,
    record,
    rsa_key,
    short_key,
    sign,
)
from tests.support.messages import encrypted_message
from tests.support.name_server import NameServer

NAME = f"sel._domainkey.{FOREIGN}"
MESSAGE = encrypted_message(f"alice@{FOREIGN}")


async def verify(message: bytes, resolver: Zone | Resolver, domain: str = FOREIGN) -> DkimResult:
    return await verify_with(KeyCache(lambda: resolver), message, domain)


async def verify_with(keys: KeyCache, message: bytes, domain: str = FOREIGN) -> DkimResult:
    length = header_length(message)
    assert length is not None
    check = DkimVerifier(keys).begin(HeaderBlock.parse(message[:length]), domain, int(time.time()))
    for start in range(length, len(message), 1000):
        check.feed(message[start : start + 1000])
    return await check.finish()


def zone(*records: bytes) -> Zone:
    answers = Zone()
    answers.publish(*(records or (record(),)))
    return answers


@pytest.mark.parametrize("canonical", ["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"])
async def test_what_another_implementation_signed_is_valid(canonical: str) -> None:
    signed = sign(MESSAGE, canonical=canonical)
    assert await verify(signed, zone()) is DkimResult.VALID
    assert await verify(signed.replace(b"Subject: [...]", b"Subject: hello"), zone()) is DkimResult.INVALID
    assert await verify(signed[:-10] + b"x" + signed[-9:], zone()) is DkimResult.INVALID


@pytest.mark.parametrize("selector", RFC_RECORDS)
async def test_the_example_of_the_rfc_is_valid_by_either_of_its_keys(selector: str) -> None:  # RFC 8463 appendix A
    answers = Zone()
    answers.publish(RFC_RECORDS[selector], domain=RFC_DOMAIN, selector=selector)
    assert await verify(RFC_MESSAGE, answers, RFC_DOMAIN) is DkimResult.VALID
    assert await verify(RFC_MESSAGE.replace(b"dinner", b"supper"), answers, RFC_DOMAIN) is DkimResult.INVALID


async def test_algorithms_and_keys_do_not_mix() -> None:
    other = RFC_RECORDS["brisbane"]
    assert await verify(sign(MESSAGE), zone(other)) is DkimResult.INVALID
    assert await verify(sign(MESSAGE), zone(other, record())) is DkimResult.VALID


async def test_without_a_signature_and_with_somebody_elses() -> None:
    assert await verify(MESSAGE, zone()) is DkimResult.UNSIGNED
    elsewhere = Zone()
    elsewhere.publish(record(), domain="mail.other.example")
    elsewhere.publish(record(), domain="example")
    for domain in ("mail.other.example", "example"):
        assert await verify(sign(MESSAGE, domain), elsewhere) is DkimResult.INVALID
    assert elsewhere.asked == []


async def test_one_valid_signature_among_broken_ones_is_enough() -> None:
    good = sign(MESSAGE)
    broken = sign(MESSAGE.replace(b"[...]", b"[,,,]")).removesuffix(MESSAGE.replace(b"[...]", b"[,,,]"))
    assert await verify(broken + b"DKIM-Signature: nonsense\r\n" + good, zone()) is DkimResult.VALID


async def test_hundreds_of_signatures_cost_what_a_few_cost() -> None:
    signature = sign(MESSAGE).removesuffix(MESSAGE).replace(b"\r\n d=", b"\r\n  d=", 1).replace(b"bh=", b"bh= ")
    answers = zone(record(rsa_key(1024)))
    began = time.perf_counter()
    assert await verify(signature * 150 + MESSAGE, answers) is DkimResult.INVALID
    assert time.perf_counter() - began < 0.1
    assert len(answers.asked) <= 1


async def test_a_wrong_body_asks_nobody() -> None:
    answers = zone()
    assert await verify(sign(MESSAGE) + b"more\r\n", answers) is DkimResult.INVALID
    assert answers.asked == []


async def test_a_signature_over_a_part_of_the_body_does_not_count() -> None:
    assert await verify(sign(MESSAGE, length=True), zone()) is DkimResult.INVALID


async def test_short_and_absurd_keys_do_not_count() -> None:
    assert await verify(sign(MESSAGE, key=rsa_key(1024)), zone(record(rsa_key(1024)))) is DkimResult.VALID
    assert await verify(sign(MESSAGE, key=short_key()), zone(record(short_key()))) is DkimResult.INVALID
    for text in (b"v=DKIM1; p=AAAA", b"v=DKIM1; k=ed25519; p=AAAA", b"v=spf1 -all", b"\xff\x00"):
        assert await verify(sign(MESSAGE), zone(text)) is DkimResult.INVALID


async def test_identity_of_a_subdomain_needs_a_key_that_allows_it() -> None:
    signed = sign(MESSAGE, identity=f"x@mail.{FOREIGN}".encode())
    assert await verify(signed, zone()) is DkimResult.VALID
    assert await verify(signed, zone(record() + b"; t=s")) is DkimResult.INVALID
    assert await verify(sign(MESSAGE), zone(record() + b"; t=s")) is DkimResult.VALID


async def test_no_answer_is_not_a_refusal() -> None:
    assert await verify(sign(MESSAGE), Zone(fails={NAME})) is DkimResult.UNKNOWN


# --- the cache --------------------------------------------------------------------------------------------------------


async def test_a_changed_key_is_asked_for_once_more_before_a_refusal() -> None:
    now, answers = [0.0], zone()
    keys = KeyCache(lambda: answers, clock=lambda: now[0])
    assert await verify_with(keys, sign(MESSAGE)) is DkimResult.VALID
    assert await verify_with(keys, sign(MESSAGE)) is DkimResult.VALID
    assert len(answers.asked) == 1
    answers.publish(record(rsa_key(1024)))
    now[0] = FRESH_SECONDS + 1
    assert await verify_with(keys, sign(MESSAGE, key=rsa_key(1024))) is DkimResult.VALID
    assert len(answers.asked) == 2
    assert await verify_with(keys, sign(MESSAGE)) is DkimResult.INVALID
    assert len(answers.asked) == 2


async def test_a_key_that_was_taken_back_counts_for_an_hour_at_most() -> None:
    now, answers = [0.0], zone()
    keys = KeyCache(lambda: answers, clock=lambda: now[0])
    assert await verify_with(keys, sign(MESSAGE)) is DkimResult.VALID
    answers.publish()
    now[0] = MAX_KEY_AGE_SECONDS + 1
    assert await verify_with(keys, sign(MESSAGE)) is DkimResult.INVALID


async def test_the_cache_is_bounded_and_forgets_what_was_not_used() -> None:
    keys = KeyCache(lambda: Zone())
    for number in range(MAX_CACHED_NAMES + 50):
        await keys.keys(f"{number}.example")
        await keys.keys("0.example")
    assert len(keys) == MAX_CACHED_NAMES
    assert "0.example" in keys._cached


async def test_simultaneous_questions_are_one() -> None:
    answers = zone()
    keys = KeyCache(lambda: answers)
    results = await asyncio.gather(*(verify_with(keys, sign(MESSAGE)) for _ in range(20)))
    assert set(results) == {DkimResult.VALID}
    assert len(answers.asked) == 1


# --- a real name server ---------------------------------------------------------------------------------------------


def blanks(key: bytes) -> bytes:
    """A key with white space where it should not be."""
    return b" \t".join((key[:60], key[60:61], key[61:])).replace(b"; ", b" ;  ").replace(b"p=", b"p = ")


def strings(text: bytes, length: int) -> str:
    pieces = (text[start : start + length].decode() for start in range(0, len(text), length))
    return " ".join(f'"{piece}"' for piece in pieces)


async def test_keys_as_a_real_name_server_gives_them(tmp_path: Path, free_loopback_address: str) -> None:
    key = record()
    big = record(rsa_key(4096))
    records = f"""
whole._domainkey IN TXT {strings(key, 255)}
short._domainkey IN TXT {strings(key, 7)}
blank._domainkey IN TXT {strings(blanks(key), 100)}
named._domainkey IN CNAME key.elsewhere.other.example.
key.elsewhere IN CNAME whole._domainkey
loop._domainkey IN CNAME loop2._domainkey
loop2._domainkey IN CNAME loop._domainkey
among._domainkey IN TXT "v=spf1 -all"
among._domainkey IN TXT {strings(key, 200)}
long._domainkey IN TXT {strings(big, 255)}
long._domainkey IN TXT {strings(b"v=note; n=" + b"x" * 2000, 255)}
"""
    with NameServer(tmp_path, free_loopback_address, {FOREIGN: records}) as server:
        resolver = Resolver([server.address])
        keys = KeyCache(lambda: resolver)
        for name in ("whole", "short", "blank", "named", "among"):
            [found] = await keys.keys(f"{name}._domainkey.{FOREIGN}")
            assert found.public_key.public_numbers() == rsa_key().public_key().public_numbers()  # type: ignore[union-attr]
        [found] = await keys.keys(f"long._domainkey.{FOREIGN}")  # an answer too long for UDP comes over TCP
        assert found.public_key.key_size == 4096  # type: ignore[union-attr]
        assert await keys.keys(f"none._domainkey.{FOREIGN}") == ()
        with pytest.raises(DnsFailureError):
            await keys.keys(f"loop._domainkey.{FOREIGN}")
        server.stop()
        unreachable = Resolver([server.address], lifetime_seconds=0.3)
        assert await verify(sign(MESSAGE), unreachable) is DkimResult.UNKNOWN
