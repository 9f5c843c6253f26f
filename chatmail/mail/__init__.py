"""The vocabulary of mail: addresses, envelopes, messages, changes. Pure: no sockets, files, clock or asyncio."""
