"""Lines of logs to events: one module a format, and what they share. See README.md beside it."""
