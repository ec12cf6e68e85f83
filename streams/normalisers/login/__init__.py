"""Logins: log lines to events of that kind."""
