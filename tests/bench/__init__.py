"""Benchmarks, run by command (`python -m tests.bench`), never as assertions in the test suite."""
