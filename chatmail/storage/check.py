"""The full check of a store, on demand only: it reads everything, where the start reads next to nothing.

Used by tests after every kind of fault, and fit for an administrator who no longer trusts a disk. It may run beside a
working server: it looks at one moment of the database, and once more at files that seem stray or missing.
"""

from collections.abc import Iterator
from typing import Final

from chatmail.storage.database import Reader
from chatmail.storage.layout import DataLayout

_COUNTS: Final = (
    (
        "bodies whose count of messages is wrong",
        "SELECT count(*) FROM bodies LEFT JOIN"
        " (SELECT body_id, count(*) AS named FROM"
        " (SELECT body_id FROM messages UNION ALL SELECT body_id FROM queue_items) GROUP BY body_id) USING (body_id)"
        " WHERE messages_count IS NOT named",
    ),
    (
        "queue items without body",
        "SELECT count(*) FROM queue_items WHERE body_id NOT IN (SELECT body_id FROM bodies)",
    ),
    ("messages without a body", "SELECT count(*) FROM messages WHERE body_id NOT IN (SELECT body_id FROM bodies)"),
    (
        "small bodies without content",
        "SELECT count(*) FROM bodies WHERE NOT in_file AND body_id NOT IN (SELECT body_id FROM contents)",
    ),
    (
        "contents without a body",
        "SELECT count(*) FROM contents WHERE body_id NOT IN (SELECT body_id FROM bodies WHERE NOT in_file)",
    ),
    (
        "small bodies of a wrong size",
        "SELECT count(*) FROM bodies JOIN contents USING (body_id)"
        " WHERE size_bytes != length(header) + length(content)",
    ),
    (
        "messages of no mailbox",
        "SELECT count(*) FROM messages WHERE mailbox_id NOT IN"
        " (SELECT mailbox_id FROM mailboxes UNION ALL SELECT mailbox_id FROM doomed_mailboxes)",
    ),
    (
        "messages with a UID or MODSEQ beyond their mailbox's",
        "SELECT count(*) FROM messages JOIN mailboxes USING (mailbox_id)"
        " WHERE uid >= uid_next OR modseq > highest_modseq",
    ),
    (
        "accounts whose usage is wrong",
        "SELECT count(*) FROM accounts WHERE usage_bytes != (SELECT ifnull(sum(size_bytes), 0)"
        " FROM mailboxes JOIN messages USING (mailbox_id) WHERE mailboxes.account_id = accounts.account_id)",
    ),
    (
        "mailboxes of no account",
        "SELECT count(*) FROM mailboxes WHERE account_id NOT IN (SELECT account_id FROM accounts)",
    ),
)
_LARGE_BODIES: Final = "SELECT body_id FROM bodies WHERE in_file"
_KNOWN_FILES: Final = f"{_LARGE_BODIES} UNION ALL SELECT body_id FROM doomed_files"


def problems(reader: Reader, layout: DataLayout) -> Iterator[str]:
    """One sentence for each thing that is not as it should be. Blocks for as long as reading everything takes."""
    (verdict,) = reader.row("PRAGMA integrity_check") or ("no answer",)
    if verdict != "ok":
        yield f"SQLite finds the database damaged: {verdict}"
    with reader.one_moment():
        for name, sql in _COUNTS:
            (count,) = reader.row(sql) or (0,)
            if count:
                yield f"{name}: {count}"
    yield from _file_problems(reader, layout)


def _file_problems(reader: Reader, layout: DataLayout) -> Iterator[str]:
    found = {int(path.name) for path in layout.body_files()}
    known = {body_id for (body_id,) in reader.rows(_KNOWN_FILES)}
    last_body_id = reader.row("SELECT seq FROM sqlite_sequence WHERE name = 'bodies'") or (0,)
    # A file above the last number belongs to a commit that is under way.
    stray = {body_id for body_id in found - known if body_id <= last_body_id[0] and layout.body(body_id).exists()}
    if stray:
        yield f"files of no body: {len(stray)}"
    missing = {body_id for (body_id,) in reader.rows(_LARGE_BODIES) if not layout.body(body_id).exists()}
    missing &= {body_id for (body_id,) in reader.rows(_LARGE_BODIES)}
    if missing:
        yield f"large bodies without their file: {len(missing)}"
