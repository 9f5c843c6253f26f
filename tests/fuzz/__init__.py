"""Fuzzing: the parsers of foreign bytes against what must always hold.

`targets` lists them, `corpora` holds what to begin with, `python -m tests.fuzz` runs them under atheris for as long as
wanted, and `tests/properties/test_fuzz_targets.py` runs them for seconds, without atheris, on every test run.
"""
