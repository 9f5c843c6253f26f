"""The dashboard: whether all is well with a relay, and what to do if not, seen over SSH.

The way of what is shown: `source` is asked by the worker in `work`, which posts `messages`; the app hands the frozen
`Moment` they carry to the page on top, whose panels draw it, and refresh only the lines that changed.
"""
