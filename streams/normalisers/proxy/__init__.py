"""Web proxies and filters: log lines to events of that kind."""
