"""The sans-I/O IMAP core (RFC 3501, RFC 9051): bytes in, events out; responses in, bytes out."""
