"""Compare one required record with what a name server has: right, missing, or different and how to mend it. Pure.

Registrars' web forms spoil records in a few well-known ways (quotation marks taken literally, the domain appended
twice, a long key cut off, a second SPF record left from before); each is recognised and named.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chatmail.dns.records import DnsRecord, RecordType


class CheckState(StrEnum):
    """How a required record stands."""

    OK = "ok"
    MISSING = "missing"
    DIFFERENT = "different"
    UNREACHABLE = "unreachable"
    """The authoritative servers did not answer, so nothing can be said."""


@dataclass(frozen=True, slots=True)
class RecordCheck:
    """One required record, what was found in its place, and one sentence on what to do (empty if all is well).

    `public` is what the resolvers of this machine see, None if they did not answer.
    """

    record: DnsRecord
    state: CheckState
    found: tuple[str, ...] = ()
    advice: str = ""
    public: tuple[str, ...] | None = None


Finding = tuple[CheckState, str]
_FINE: Final[Finding] = (CheckState.OK, "")
_MISSING: Final[Finding] = (CheckState.MISSING, "Create this record.")


def compare(record: DnsRecord, found: Sequence[str], wanted_here: Sequence[str] = ()) -> Finding:
    """The state of `record` where a server has `found` (presentation format; TXT as plain text), and the advice.

    `wanted_here` are the values of all required records of the same name and type, `record` included.
    """
    match record.type:
        case RecordType.A | RecordType.AAAA:
            return _compare_addresses(record, found, wanted_here or (record.value,))
        case RecordType.MX:
            return _compare_mail_exchanger(record, found)
        case RecordType.CNAME | RecordType.SRV:
            return _compare_target(record, found)
        case RecordType.CAA:
            return _compare_caa(record, found)
        case RecordType.TXT:
            return _compare_text(record, found)


def _compare_addresses(record: DnsRecord, found: Sequence[str], wanted_here: Sequence[str]) -> Finding:
    strangers = [address for address in found if address not in wanted_here]
    if record.value in found:
        if strangers:
            return CheckState.DIFFERENT, f"Remove {_listed(strangers)}: that is not this machine."
        return _FINE
    if strangers:
        return CheckState.DIFFERENT, f"It leads to {_listed(strangers)}; change that to {record.value}."
    return _MISSING


def _compare_mail_exchanger(record: DnsRecord, found: Sequence[str]) -> Finding:
    if not found:
        return _MISSING
    wanted = record.value.split()[-1].lower()
    targets = [value.split()[-1].lower() for value in found]
    if doubled := _doubled(wanted, targets, record.name):
        return CheckState.DIFFERENT, doubled
    others = [target for target in targets if target != wanted]
    if wanted not in targets:
        return CheckState.DIFFERENT, f"Mail goes to {_listed(others)}; change that to {record.value}"
    if others:
        return CheckState.DIFFERENT, f"Remove the other MX record ({_listed(others)}), or mail gets lost there."
    return _FINE


def _compare_target(record: DnsRecord, found: Sequence[str]) -> Finding:
    if not found:
        return _MISSING
    wanted, lowered = record.value.lower(), [value.lower() for value in found]
    if lowered == [wanted]:
        return _FINE
    targets = [value.split()[-1] for value in lowered]
    if doubled := _doubled(wanted.split()[-1], targets, wanted.split()[-1].rstrip(".")):
        return CheckState.DIFFERENT, doubled
    return CheckState.DIFFERENT, f"Change {_listed(found)} to {record.value}"


def _doubled(wanted: str, targets: Sequence[str], domain: str) -> str:
    """The advice where a form appended the zone to a name that was complete; empty if that did not happen."""
    bare = wanted.rstrip(".")
    for target in targets:
        tail = target.removeprefix(f"{bare}.").rstrip(".")
        if tail != target.rstrip(".") and tail and f".{domain}".endswith(f".{tail}"):
            return f"The domain was appended a second time ({target}): enter the target with a final dot, as {wanted}"
    return ""


def _compare_caa(record: DnsRecord, found: Sequence[str]) -> Finding:
    issuers = [value.split(None, 2)[2].strip('"') for value in found if value.split(None, 2)[1:2] == ["issue"]]
    if not issuers:
        return _MISSING
    wanted = record.value.split(None, 2)[2].strip('"')
    authority = wanted.partition(";")[0].strip().lower()
    ours = [issuer for issuer in issuers if issuer.partition(";")[0].strip().lower() == authority]
    if not ours:
        return CheckState.DIFFERENT, f"It forbids {authority} to make your certificate; add {record.value}"
    if any(_normal_caa(issuer) == _normal_caa(wanted) for issuer in ours):
        return _FINE
    if any("accounturi" not in issuer for issuer in ours):
        return CheckState.OK, f"It allows every account at {authority}; {record.value} allows yours alone."
    return CheckState.DIFFERENT, f"It names another account at {authority}; change it to {record.value}"


def _normal_caa(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(";"))


# What marks a TXT record as the one meant, and how its text is judged.
def _compare_text(record: DnsRecord, found: Sequence[str]) -> Finding:
    kind = record.value.partition(";")[0].split()[0].lower()
    judge = _TEXT_JUDGES[kind]
    candidates = [text for text in found if _kind_of(text, kind)]
    if not candidates:
        return _MISSING
    if len(set(candidates)) > 1 or len(candidates) > 1:
        return CheckState.DIFFERENT, f"There are {len(candidates)} such records; keep one and remove the others."
    text = candidates[0]
    if '"' in text or "\\" in text:
        return (
            CheckState.DIFFERENT,
            "The quotation marks or backslashes became part of the text; enter it again without.",
        )
    return judge(record, text)


def _kind_of(text: str, kind: str) -> bool:
    bare = text.strip(" \"'\\").lower()
    return bare.startswith(kind) or (kind == "v=dkim1" and ("p=" in bare or "dkim1" in bare))


def tags(text: str) -> dict[str, str]:
    """A tag list (RFC 6376 §3.2) as a mapping, all blanks removed from the values."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, _, value in pairs if name.strip()}


def _judge_dkim(record: DnsRecord, text: str) -> Finding:
    wanted, have = tags(record.value), tags(text)
    key, wanted_key = have.get("p", ""), wanted["p"]
    if key != wanted_key:
        if not key:
            return CheckState.DIFFERENT, "The key is empty, which means revoked; enter the whole text again."
        if wanted_key.startswith(key):
            return (
                CheckState.DIFFERENT,
                f"The key was cut off after {len(key)} of {len(wanted_key)} characters; enter it in the split form.",
            )
        return CheckState.DIFFERENT, "It holds another key; replace it by the text shown."
    if have.get("v", "DKIM1") != "DKIM1" or have.get("k", "rsa") != "rsa" or have.get("s", "*") not in ("*", "email"):
        return CheckState.DIFFERENT, "The key is right but another part is not; replace it by the text shown."
    return _FINE


def _judge_spf(record: DnsRecord, text: str) -> Finding:
    terms = text.lower().split()[1:]
    if {"a", "+a", "mx", "+mx", "redirect"} & {term.partition("=")[0] for term in terms} or any(
        term.removeprefix("+").startswith(("ip4:", "ip6:", "include:", "a:")) for term in terms
    ):
        return _FINE
    return CheckState.DIFFERENT, f"It does not allow this machine to send; change it to {record.value}"


def _judge_dmarc(record: DnsRecord, text: str) -> Finding:
    if tags(text).get("p", "").lower() in ("reject", "quarantine", "none"):
        return _FINE
    return CheckState.DIFFERENT, f"It says no valid policy; change it to {record.value}"


def _judge_mta_sts(record: DnsRecord, text: str) -> Finding:
    identifier = tags(text).get("id", "")
    if identifier.isascii() and identifier.isalnum() and len(identifier) <= 32:
        return _FINE
    return CheckState.DIFFERENT, f"Its id must be 1 to 32 letters and digits; change it to {record.value}"


_TEXT_JUDGES: Final[dict[str, Callable[[DnsRecord, str], Finding]]] = {
    "v=dkim1": _judge_dkim,
    "v=spf1": _judge_spf,
    "v=dmarc1": _judge_dmarc,
    "v=stsv1": _judge_mta_sts,
}


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values)
