"""What it runs on and how it is run: servers, tables, processes, the command."""
