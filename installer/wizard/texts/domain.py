"""The page on the name of the server."""

from chatmail import api

TITLE = "What is your server called?"
LEAD = "Every address ends with it, so it cannot be changed later."
KINDS = {
    api.DomainKind.DOMAIN: ("A domain you own", api.EXPLANATIONS[api.DomainKind.DOMAIN]),
    api.DomainKind.IP_ADDRESS: ("Only an IP address", api.EXPLANATIONS[api.DomainKind.IP_ADDRESS]),
    api.DomainKind.TEST: ("A test name", api.EXPLANATIONS[api.DomainKind.TEST]),
}
LABEL = {
    api.DomainKind.DOMAIN: "Domain",
    api.DomainKind.IP_ADDRESS: "IP address",
    api.DomainKind.TEST: "Test name",
}
EXAMPLE = {
    api.DomainKind.DOMAIN: "for example chat.example.org",
    api.DomainKind.IP_ADDRESS: "for example 203.0.113.5",
    api.DomainKind.TEST: "for example _chat.example.org",
}
TAKE = "Take it"
PERHAPS = "Did you mean {suggestion}? Press F3 to take it."
PERHAPS_PLAIN = "Did you mean {suggestion}?"
LOOKING_UP = "Looking up where {domain} leads…"
NO_ADDRESS = "This machine knows no address of its own; type the one it is reached at."
