import json

from chatmail.dns.compare import CheckState, RecordCheck
from chatmail.dns.records import DnsRecord, RecordType
from chatmail.dns.report import DnsReport, ReverseCheck, is_propagating, report_as_dict, report_as_text

MX = DnsRecord("chat.example.org", RecordType.MX, "10 chat.example.org.", "Because.", True)
SPF = DnsRecord("chat.example.org", RecordType.TXT, "v=spf1 a ~all", "Because.", False)
GOOD = RecordCheck(MX, CheckState.OK, (MX.value,), "", (MX.value,))


def test_only_required_records_decide() -> None:
    missing = RecordCheck(SPF, CheckState.MISSING, (), "Create this record.", ())
    report = DnsReport((GOOD, missing))
    assert report.ok
    assert report_as_text(report).endswith("All required records are right; 1 recommended ones are not.\n")
    assert not DnsReport((RecordCheck(MX, CheckState.UNREACHABLE),)).ok


def test_wrong_is_told_from_propagating() -> None:
    lagging = RecordCheck(MX, CheckState.OK, (MX.value,), "", ("10 old.example.org.",))
    assert is_propagating(lagging)
    assert not is_propagating(GOOD)
    assert "wait up to an hour" in report_as_text(DnsReport((lagging,)))


def test_a_difference_shows_both_values_and_what_to_do() -> None:
    different = RecordCheck(MX, CheckState.DIFFERENT, ("10 a.example.",), "Change it.", None)
    reverse = ReverseCheck("192.0.2.1", (), False, "192.0.2.1 has no reverse name.")
    assert report_as_text(DnsReport((different,), (reverse,))) == (
        "DIFFERENT MX    chat.example.org\n"
        "          wanted: 10 chat.example.org.\n"
        "          found:  10 a.example.\n"
        "          Change it.\n"
        "note      PTR   192.0.2.1\n"
        "          192.0.2.1 has no reverse name.\n"
        "1 required records are not right yet.\n"
    )
    as_json = json.loads(json.dumps(report_as_dict(DnsReport((different,), (reverse,)))))
    assert as_json["records"][0]["state"] == "different"
    assert as_json["reverse"][0]["confirmed"] is False


def test_an_ip_only_relay_has_nothing_to_check() -> None:
    assert DnsReport(()).ok
    assert "needs no DNS records" in report_as_text(DnsReport(()))
