"""DHCP servers: log lines to events of that kind."""
