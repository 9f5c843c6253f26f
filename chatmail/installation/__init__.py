"""Putting a relay on this machine, looking at it, and taking it away again; `chatmail.api` is the door."""
