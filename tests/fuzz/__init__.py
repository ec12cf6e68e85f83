"""Mutated lines against every format: `python -m tests.fuzz --help`. A short seeded part runs with the other tests."""
