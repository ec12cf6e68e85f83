"""Logs to events: sources, normalisers, batches, collectors."""
