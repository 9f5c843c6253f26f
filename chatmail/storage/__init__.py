"""Everything durable behind one async door, `chatmail.storage.store.Store`. No SQL leaves this package."""
