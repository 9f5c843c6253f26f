"""The attacks, one family in each module; `tests.hostile.catalogue` lists them."""
