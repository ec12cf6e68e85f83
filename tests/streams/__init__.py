"""Tests of sources, stamps, batches, ledger, positions, sinks and collectors."""
