"""Judging again what is past: after a lease that came late, or a correction of inventory, roster or permits."""
