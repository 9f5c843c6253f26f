"""What an interrupted run left in the data folder, removed at start in time that does not depend on the stored mail.

- `tmp/` holds bodies that were being received: nobody was told they are safe, so they go.
- A large body is moved to its place before the commit that names it. If that commit never came, its number is above
  every number the database has given out, so only the shards at that number need to be looked at.
- What a removal still had to do is in tables, which `purge.py` works off.
"""

import sqlite3

from chatmail.storage.layout import BODIES_PER_SHARD, DataLayout


def sweep(connection: sqlite3.Connection, layout: DataLayout) -> int:
    """Remove what no commit names; the number of files removed. Raises `OSError` or `sqlite3.Error`."""
    removed = 0
    for path in layout.tmp.iterdir():
        path.unlink()
        removed += 1
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'bodies'").fetchone()
    last_body_id: int = row[0] if row else 0
    first_shard = last_body_id // BODIES_PER_SHARD
    # One commit names far fewer bodies than a shard holds, so strays reach into the next shard at most.
    for shard in (layout.shard(first_shard), layout.shard(first_shard + 1)):
        if not shard.exists():
            continue
        for path in shard.iterdir():
            if path.name.isdigit() and int(path.name) > last_body_id:
                path.unlink()
                removed += 1
    return removed
