"""`aupstream deadletters`: lines that could not be read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from infra.cli.configuration import choose
from infra.cli.output import cell, json_line, line, on_terminal, printable, table, warn
from infra.cli.store import Store, dsn_of
from schemas.errors import ConfigError, InputError

_COLUMNS = "event_id log_source format reason detail timestamp log_generation log_offset raw_length masked raw".split()
_SHORT = 100  # characters of a line that a list shows
_ID = re.compile(r"[0-9a-f]{4,32}")
# Bytes that are no UTF-8 would make the whole answer bytes: they travel as hexadecimal digits.
_SELECT = ", ".join("hex(raw) AS raw" if c == "raw" else c for c in _COLUMNS)


def list_all(
    sources: Sequence[str], reasons: Sequence[str], limit: int, config: Path | None, data: Path | None, *, as_json: bool
) -> None:
    """Print dead letters by source and position.

    Raises:
        ServerError: ClickHouse does not answer.
    """
    parts = ["1"]
    values: dict[str, object] = {}
    for column, wanted in (("log_source", tuple(sources)), ("reason", tuple(reasons))):
        if wanted:
            parts.append(f"{column} IN %({column})s")
            values[column] = wanted
    where = " AND ".join(parts)
    query = f"SELECT {_SELECT} FROM dead_letters FINAL WHERE {where} ORDER BY log_source, event_id"  # noqa: S608
    found = _rows(config, data, query + (f" LIMIT {limit + 1}" if limit else ""), values)
    if limit and len(found) > limit:
        warn(f"there are more than {limit} (see --limit)")
        found = found[:limit]
    if as_json:
        for row in found:
            json_line(row)
        return
    columns = ("id", "source", "reason", "detail", "offset", "line")
    cells = [
        (
            *(r[c] for c in ("event_id", "log_source", "reason", "detail", "log_offset")),
            str(r["raw"])[:_SHORT],
        )
        for r in found
    ]
    table(columns, cells, empty="no dead letters")


def show(event_id: str, config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Print one dead letter.

    Raises:
        ConfigError: this is no id.
        InputError: there is none of this id, or several begin so.
    """
    if not _ID.fullmatch(event_id):
        hint = "take one from `aupstream deadletters list`"
        raise ConfigError(f"{event_id!r} is no id", where="deadletters show", hint=hint)
    query = f"SELECT {_SELECT} FROM dead_letters FINAL WHERE startsWith(event_id, %(id)s) LIMIT 2"  # noqa: S608
    found = _rows(config, data, query, {"id": event_id})
    if len(found) != 1:
        what = "several dead letters' ids begin so" if found else "there is no dead letter of this id"
        raise InputError(what, where=event_id, hint="take one from `aupstream deadletters list`")
    if as_json:
        json_line(found[0])
        return
    width = max(map(len, _COLUMNS)) if on_terminal() else 0
    for name, value in found[0].items():
        line(f"{name.ljust(width)}\t{printable(cell(value))}")


def _rows(config: Path | None, data: Path | None, query: str, values: dict[str, object]) -> list[dict[str, object]]:
    store = Store(dsn_of(choose(config, data)))
    try:
        return [
            {**row, "raw": bytes.fromhex(row["raw"]).decode("utf-8", "backslashreplace")}
            for row in store.rows(query, values)
        ]
    finally:
        store.close()
