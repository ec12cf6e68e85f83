"""Totals and extremes: rows beside a result, which the engine leaves out of Native format.

They are taken from a second run in a format of text that has them, and turned into Native blocks by the engine. So a
query WITH TOTALS costs twice, and only such a query does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from infra.embedded.native import sql
from infra.embedded.native.constants import ServerPacket
from infra.embedded.native.engine import Session
from infra.embedded.native.sql import quote, quote_name

_MAYBE: Final = re.compile(r"\b(totals|extremes)\b", re.IGNORECASE)


def are_wanted(text: str, extremes: bool) -> bool:  # noqa: FBT001 - two facts about one query
    """Whether the result has rows beside it. SETTINGS inside the query may turn extremes on as well."""
    if extremes:
        return True
    found = _MAYBE.search(text)
    return found is not None and bool(sql.words(text) & {"TOTALS", "EXTREMES"})


def blocks(session: Session, text: str, data: Path) -> Iterator[tuple[ServerPacket, bytes]]:
    """The packets beside the result of a SELECT: totals, then extremes (two rows: least, greatest)."""
    answer = json.loads(session.text(text, "JSONCompactStrings"))
    structure = ", ".join(f"{quote_name(column['name'])} {column['type']}" for column in answer["meta"])
    if "totals" in answer:
        yield ServerPacket.TOTALS, _native(data, structure, [answer["totals"]])
    if "extremes" in answer:
        yield ServerPacket.EXTREMES, _native(data, structure, [answer["extremes"]["min"], answer["extremes"]["max"]])


def _native(data: Path, structure: str, rows: list[list[str]]) -> bytes:
    """Rows of text as a block. In a session of its own: an analyst's may not use ``format``."""
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    session = Session(data)
    try:
        source = f"format(JSONCompactStringsEachRow, {quote(structure)}, {quote(lines)})"
        return session.run(f"SELECT * FROM {source}").body  # noqa: S608 - quoted
    finally:
        session.close()
