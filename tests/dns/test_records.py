from ipaddress import ip_address

from chatmail.config import parse_config
from chatmail.dns.records import RecordType, RelayFacts, mta_sts_id, mta_sts_policy, required_records

FACTS = RelayFacts(
    addresses=(ip_address("192.0.2.1"), ip_address("2001:db8::1")),
    dkim_public_key=b"\x30" * 294,
    caa_identity="letsencrypt.org",
    acme_account_uri="https://acme.example/acct/1",
)


def test_a_domain_relay_needs_every_record_once_and_each_says_why() -> None:
    records = required_records(parse_config('mail_domain = "chat.example.org"'), FACTS)
    names = {(record.name.removesuffix("chat.example.org").rstrip("."), record.type.value) for record in records}
    assert names == {
        ("", "A"),
        ("", "AAAA"),
        ("", "MX"),
        ("", "TXT"),
        ("", "CAA"),
        ("chatmail._domainkey", "TXT"),
        ("_dmarc", "TXT"),
        ("_mta-sts", "TXT"),
        ("mta-sts", "CNAME"),
        ("www", "CNAME"),
        ("_submissions._tcp", "SRV"),
        ("_submission._tcp", "SRV"),
        ("_imaps._tcp", "SRV"),
        ("_imap._tcp", "SRV"),
    }
    assert len(records) == len(names)
    assert all(record.purpose.endswith(".") for record in records)
    assert [record.required for record in records] == sorted((record.required for record in records), reverse=True)


def test_a_relay_known_by_its_ip_address_needs_none() -> None:
    assert required_records(parse_config('mail_domain = "192.0.2.1"'), FACTS) == ()


def test_ports_that_are_off_are_not_announced_and_others_are_named() -> None:
    config = parse_config('mail_domain = "chat.example.org"\n[listen]\nsubmission = 0\nimaps = 1993')
    services = {r.name.partition(".")[0]: r.value for r in required_records(config, FACTS) if r.type is RecordType.SRV}
    assert "_submission" not in services
    assert services["_imaps"] == "0 1 1993 chat.example.org."


def test_the_mta_sts_id_follows_the_policy() -> None:
    first, second = (parse_config(f'mail_domain = "{name}.example.org"') for name in ("one", "two"))
    assert mta_sts_id(first) != mta_sts_id(second)
    assert mta_sts_id(first) == mta_sts_id(first)
    assert "mode: enforce\r\nmx: one.example.org\r\n" in mta_sts_policy(first)


def test_no_caa_record_is_asked_for_where_no_acme_certificate_is_obtained() -> None:
    config = parse_config('mail_domain = "chat.example.org"\n[tls]\nmode = "self-signed"')
    assert RecordType.CAA not in {record.type for record in required_records(config, FACTS)}
