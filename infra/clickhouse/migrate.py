"""Brings a ClickHouse database to this release's tables: numbered SQL files, each run once, in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from agents.sinks.clickhouse import ClickHouse
from schemas.errors import ServerError

_FOLDER = Path(__file__).parent
_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_JOURNAL = """
CREATE TABLE IF NOT EXISTS migrations (number UInt32, name String, applied_at DateTime DEFAULT now())
ENGINE = MergeTree ORDER BY number
"""


def files(folder: Path = _FOLDER) -> list[tuple[int, Path]]:
    """Number and file of each migration, in order."""
    found = [(int(m[1]), path) for path in sorted(folder.glob("*.sql")) if (m := _NAME.match(path.name))]
    return sorted(found)


def statements(text: str) -> Iterator[str]:
    """Statements of a file: each ends with a semicolon at the end of a line; comment lines are left out."""
    for part in re.split(r";[ \t]*\n", text + "\n"):
        body = "\n".join(line for line in part.splitlines() if not line.lstrip().startswith("--")).strip()
        if body:
            yield body


def migrate(store: ClickHouse, folder: Path = _FOLDER) -> list[str]:
    """Run what was not run yet; names of the files that were.

    A migration that stopped half-way is run again from its start: statements say IF NOT EXISTS.

    Raises:
        ServerError: the database was made by a newer release, or the server refuses a statement.
    """
    store.execute(_JOURNAL)
    done = {number for (number,) in store.execute("SELECT DISTINCT number FROM migrations")}
    known = files(folder)
    newest = max((n for n, _ in known), default=0)
    if done and max(done) > newest:
        raise ServerError(
            f"the database has migration {max(done)}, this release knows {newest} at the most",
            hint="run the newer release, or use another database",
        )
    ran = []
    for number, path in known:
        if number in done:
            continue
        for statement in statements(path.read_text("utf-8")):
            store.execute(statement)
        store.execute("INSERT INTO migrations (number, name) VALUES", [(number, path.name)])
        ran.append(path.name)
    return ran
