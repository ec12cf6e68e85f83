"""Mail servers and gateways: log lines to events of that kind."""
