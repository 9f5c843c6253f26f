import pytest

from chatmail.dns.compare import CheckState, compare
from chatmail.dns.records import DnsRecord, RecordType

KEY = "A" * 392
DOMAIN = "chat.example.org"


def record(kind: str, value: str, name: str = DOMAIN) -> DnsRecord:
    return DnsRecord(name, RecordType(kind), value, "Because.", True)


A = record("A", "192.0.2.1")
MX = record("MX", f"10 {DOMAIN}.")
CNAME = record("CNAME", f"{DOMAIN}.", f"www.{DOMAIN}")
SRV = record("SRV", f"0 1 993 {DOMAIN}.")
DKIM = record("TXT", f"v=DKIM1;k=rsa;p={KEY};s=email;t=s")
SPF = record("TXT", "v=spf1 a ~all")
DMARC = record("TXT", "v=DMARC1;p=reject;adkim=s;aspf=s")
STS = record("TXT", "v=STSv1; id=abc1")
CAA = record("CAA", '0 issue "letsencrypt.org; accounturi=https://ca/1"')


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (A, ["192.0.2.1"]),
        (MX, [f"20 {DOMAIN.upper()}."]),
        (CNAME, [f"{DOMAIN}."]),
        (SRV, [f"0 1 993 {DOMAIN}."]),
        (DKIM, [f"v=DKIM1; k=rsa; p={KEY[:200]} {KEY[200:]}"]),
        (DKIM, [f"p={KEY}"]),
        (SPF, ["google-site-verification=1", "v=spf1 mx ip4:192.0.2.1 -all"]),
        (DMARC, ["v=DMARC1; p=none"]),
        (STS, ["v=STSv1; id=20260101;"]),
        (CAA, ['0 issue "letsencrypt.org;accounturi=https://ca/1"', '0 iodef "mailto:a@b"']),
    ],
)
def test_what_is_right_or_as_good_is_ok(wanted: DnsRecord, found: list[str]) -> None:
    assert compare(wanted, found) == (CheckState.OK, "")


@pytest.mark.parametrize(
    ("wanted", "found", "named"),
    [
        (A, ["192.0.2.9"], "change that to 192.0.2.1"),
        (A, ["192.0.2.1", "192.0.2.9"], "Remove 192.0.2.9"),
        (MX, ["10 mail.example.org."], "Mail goes to mail.example.org."),
        (MX, [f"10 {DOMAIN}.", "20 backup.example.org."], "Remove the other MX"),
        (MX, [f"10 {DOMAIN}.{DOMAIN}."], "appended a second time"),
        (MX, [f"10 {DOMAIN}.example.org."], "appended a second time"),
        (CNAME, [f"{DOMAIN}.example.org."], "appended a second time"),
        (CNAME, ["elsewhere.example.org."], "Change elsewhere.example.org."),
        (SRV, [f"0 1 143 {DOMAIN}."], "Change"),
        (DKIM, [f"v=DKIM1;k=rsa;p={KEY[:230]}"], "cut off after 230 of 392"),
        (DKIM, ["v=DKIM1;k=rsa;p=" + "B" * 392], "another key"),
        (DKIM, ["v=DKIM1;k=rsa;p="], "revoked"),
        (DKIM, [f"v=DKIM1;k=ed25519;p={KEY}"], "another part"),
        (DKIM, [f"v=DKIM1;k=rsa;p={KEY}", "v=DKIM1;k=rsa;p=BBBB"], "There are 2 such records"),
        (DKIM, [f'"v=DKIM1;k=rsa;p={KEY}"'], "quotation marks"),
        (DKIM, [f"v=DKIM1\\;k=rsa\\;p={KEY}"], "quotation marks"),
        (SPF, ["v=spf1 a ~all", "v=spf1 mx -all"], "There are 2 such records"),
        (SPF, ["v=spf1 -all"], "does not allow this machine"),
        (DMARC, ["v=DMARC1; p=yes"], "no valid policy"),
        (STS, ["v=STSv1; id=2026-01-01"], "letters and digits"),
        (CAA, ['0 issue "other.example"'], "forbids letsencrypt.org"),
        (CAA, ['0 issue ";"'], "forbids letsencrypt.org"),
        (CAA, ['0 issue "letsencrypt.org; accounturi=https://ca/2"'], "another account"),
    ],
)
def test_what_is_wrong_is_named(wanted: DnsRecord, found: list[str], named: str) -> None:
    state, advice = compare(wanted, found)
    assert state is CheckState.DIFFERENT
    assert named in advice


def test_a_caa_record_from_before_the_account_was_known_will_do_and_the_stricter_one_is_named() -> None:
    state, advice = compare(CAA, ['0 issue "letsencrypt.org"'])
    assert state is CheckState.OK and "allows every account" in advice


@pytest.mark.parametrize("wanted", [A, MX, CNAME, SRV, DKIM, SPF, DMARC, STS, CAA])
def test_nothing_there_is_missing(wanted: DnsRecord) -> None:
    assert compare(wanted, [])[0] is CheckState.MISSING
    if wanted.type is RecordType.TXT:
        assert compare(wanted, ["something else entirely"])[0] is CheckState.MISSING
