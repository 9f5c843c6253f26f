"""The page on the DNS records."""

from collections.abc import Sequence

TITLE = "Tell the world where {domain} is"
LEAD = "Create these where you bought the domain; each turns green once it is right."
WORKING = "Making the list (and the key for signing)…"
CHECKING = "Asking the name servers of {domain}…"
ALL_RIGHT = "All {count} records are right."
REQUIRED_RIGHT = "All required records are right; {count} recommended are not yet. You can go on."
WRONG = "{count} required records are not right yet."
ONE_WRONG = "One required record is not right yet."
WATCHING = "I look every {seconds:.0f} seconds."
SPREADING = "{count} still spreading: for up to an hour some may see the old value."
FORM = "Name style: {form}"
RENDERINGS = {
    "short names": "short names, for forms that add the domain themselves",
    "full names": "full names, for forms that want the whole name",
    "zone": "zone file, for those who edit one",
}
STILL_SPREADING = (
    "Right at the source, not yet seen by everybody: wait up to an hour. Until then the certificate authority and "
    "phones may see the old value."
)
FIELDS = {
    "MX": "Where the form has fields: priority {0}, server {1}",
    "SRV": "Where the form has fields: priority {0}, weight {1}, port {2}, target {3}",
}
"""How to enter values of several parts, by type."""
SAVE_TITLE = "Save the records as a zone file"
SAVE_QUESTION = "Where to?"
SAVED = "Saved as {path}."
COPIED = "Copied, if your terminal allows it: {what}."
ADDRESSES_TITLE = "The address this machine is reached at"
ADDRESSES_QUESTION = "IPv4, IPv6 or both, with a blank between:"
SKIP_TITLE = "Go on without these records?"
SKIP_QUESTION = "Not right yet: {names}. Until they are:"
SKIP_QUESTION_ONE = "Not right yet: {names}. Until it is:"
SKIP_CONSEQUENCES = (
    "• nobody finds the server by its name, and there is no certificate from an authority;",
    "• other servers refuse mail from yours.",
    "`chatmail dns check` says later what is still missing.",
)
SKIP_YES = "Go on anyway"
SKIP_NO = "Wait for the records"


def skip_question(names: Sequence[str]) -> str:
    """The question before going on without these records."""
    return (SKIP_QUESTION_ONE if len(names) == 1 else SKIP_QUESTION).format(names=", ".join(names))
