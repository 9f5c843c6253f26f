import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.ANY.TXT import TXT
from hypothesis import given
from hypothesis import strategies as st

from chatmail.config import parse_config
from chatmail.dns.records import RelayFacts, required_records
from chatmail.dns.zone import character_strings, form_rows, relative_name, render_zone

RECORDS = required_records(
    parse_config('mail_domain = "chat.example.org"'), RelayFacts(dkim_public_key=b"\x30" * 294, caa_identity="ca.test")
)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=900))
def test_a_split_text_reads_back_as_it_was(text: str) -> None:
    rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, character_strings(text))
    assert isinstance(rdata, TXT)
    assert b"".join(rdata.strings).decode() == text
    assert all(len(piece) <= 255 for piece in rdata.strings)


def test_a_zone_file_has_a_comment_and_a_line_for_each_record() -> None:
    lines = render_zone(RECORDS).splitlines()
    assert len(lines) == 2 * len(RECORDS)
    assert all(line.startswith(("; required: ", "; recommended: ")) for line in lines[::2])
    assert "chat.example.org. 3600 IN MX 10 chat.example.org." in lines


def test_form_rows_give_the_relative_name_and_both_forms_of_a_long_key() -> None:
    rows = {row.full_name: row for row in form_rows(RECORDS, "chat.example.org")}
    key = rows["chatmail._domainkey.chat.example.org"]
    assert key.relative_name == "chatmail._domainkey"
    assert '"' not in key.value
    assert key.split_value.count('"') == 4
    assert relative_name("chat.example.org", "chat.example.org") == "@"
    assert form_rows([RECORDS[0]], "example.org")[0].relative_name == "chat", "a form is for what was bought"
