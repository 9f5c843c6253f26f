"""The one error of the IMAP grammar, below every module that parses."""

from chatmail.errors import ProtocolError


class ImapSyntaxError(ProtocolError):
    """The client broke the grammar. `str(error)` says what was expected; the answer is a tagged BAD (RFC 9051 §7.1.3).

    It never holds what the client sent, so that no password or address gets into an answer or a log.
    """
