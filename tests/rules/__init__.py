"""Tests of rules: reading, linting, compiling, examples."""
