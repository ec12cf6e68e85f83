"""Permits while everything runs: the log they are appended to, and how workers hear of them."""
