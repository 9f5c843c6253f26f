"""Many clients at random on one mailbox, each checked against what RFC 9051 lets it see: `python -m tests.stress`."""
