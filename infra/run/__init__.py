"""Runs the whole road as processes on one machine."""
