"""The exception tree. Imports nothing.

    ChatmailError
    ├── OperatorError            something the person at the keyboard can mend: one sentence, exit code 1
    │   ├── ConfigError          the configuration file or a flag
    │   └── NewerDataError       the data folder was written by a newer version
    ├── ProtocolError            a peer broke its protocol; knows what to answer; costs only that connection
    └── StorageError             the store cannot serve now; SMTP 4xx, IMAP NO [UNAVAILABLE]
        └── StorageFullError     no space left on the device; SMTP 452 4.3.1

A policy never raises to refuse: it answers a `chatmail.policy.verdict.Verdict`.
Anything else that is raised is a bug of ours: logged once with its connection id, and the peer sees a generic text.
"""


class ChatmailError(Exception):
    """Root of all exceptions raised on purpose in this project."""


class OperatorError(ChatmailError):
    """A person caused it and can mend it. `str(error)` is one sentence: what is wrong, where, and what to do."""


class ConfigError(OperatorError):
    """The configuration file, or a command-line flag, is wrong."""


class NewerDataError(OperatorError):
    """The data folder was written by a newer version of this program."""


class ProtocolError(ChatmailError):
    """A peer sent what its protocol forbids. Subclasses carry the wire answer."""


class StorageError(ChatmailError):
    """The store cannot serve at the moment (I/O error, locked file). Nothing half-written is visible."""


class StorageFullError(StorageError):
    """The disk is full."""
