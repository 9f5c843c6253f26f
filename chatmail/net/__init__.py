"""Clients of the network: DNS, outbound SMTP and HTTPS, ACME, DKIM keys, certificates."""
