"""Hostile peers against the built file, with an honest client beside them; see `docs/hostile.md`."""
