"""`aupstream sql`."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.cli.configuration import choose
from infra.cli.output import cell as as_cell
from infra.cli.output import json_line, line, on_terminal, printable, table
from infra.cli.store import Store, dsn_of
from schemas.errors import ConfigError

_ON_TERMINAL = 1_000  # rows that a table on a terminal shows


def run(query: str, config: Path | None, data: Path | None, *, as_json: bool, write: bool) -> None:
    """Run a statement and print what it gives.

    Raises:
        ConfigError: there is no statement.
        ServerError: ClickHouse does not answer or refuses.
    """
    query = sys.stdin.read() if query == "-" else query
    query = query.strip().rstrip(";")
    if not query:
        raise ConfigError("there is no statement", where="sql", hint='write e.g. aupstream sql "SELECT 1"')
    chosen = choose(config, data)
    own = bool(chosen.config.clickhouse.dsn)
    store = Store(dsn_of(chosen, analyst=not write), settings={"readonly": 2} if own and not write else {})
    try:
        columns, rows = store.stream(query)
        if as_json:
            for row in rows:
                json_line(dict(zip(columns, row, strict=True)))
        elif on_terminal():
            first = [row for row, _ in zip(rows, range(_ON_TERMINAL), strict=False)]
            table(columns, first, title="" if len(first) < _ON_TERMINAL else f"the first {_ON_TERMINAL} rows")
        elif columns:
            line("\t".join(columns))
            for row in rows:
                line("\t".join(printable(as_cell(value)) for value in row))
    finally:
        store.close()
