"""The page on the DNS records."""

TITLE = "Tell the world where {domain} is"
LEAD = "Create these where you bought the domain; each turns green once it is right."
WORKING = "Making the list (and the key for signing)…"
CHECKING = "Asking the name servers of {domain}…"
ALL_RIGHT = "All {count} records are right."
REQUIRED_RIGHT = "All required records are right; {count} recommended are not yet. You can go on."
WRONG = "{count} required records are not right yet; I look every {seconds:.0f} seconds."
ONE_WRONG = "One required record is not right yet; I look every {seconds:.0f} seconds."
RENDERINGS = {
    "short names": "short names, for forms that add the domain themselves",
    "full names": "full names, for forms that want the whole name",
    "zone": "zone file, for those who edit one",
}
SAVE_TITLE = "Save the records as a zone file"
SAVE_QUESTION = "Where to?"
SAVED = "Saved as {path}."
COPIED = "Copied, if your terminal allows it: {what}."
ADDRESSES_TITLE = "The address this machine is reached at"
ADDRESSES_QUESTION = "IPv4, IPv6 or both, with a blank between:"
SKIP_TITLE = "Go on without these records?"
SKIP_QUESTION = "{count} required records are not right. Until they are:"
SKIP_CONSEQUENCES = (
    "• nobody finds the server by its name, and there is no certificate from an authority;",
    "• other servers refuse mail from yours.",
    "`chatmail dns check` says later what is still missing.",
)
SKIP_YES = "Go on anyway"
SKIP_NO = "Wait for the records"
