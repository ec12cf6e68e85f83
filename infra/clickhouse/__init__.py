"""DDL of the tables, as numbered migrations."""
