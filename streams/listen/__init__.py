"""Listeners: lines that come over the network, on their way to a spool on disk."""
