"""The DNS records a relay needs, and their renderings. Pure."""
