"""Everything durable behind one async door, `chatmail.storage.store.Store`. No SQL or SQLite type leaves this package."""
