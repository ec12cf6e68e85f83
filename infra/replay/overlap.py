"""Whether lines of an old log are stored already, out of another content: a copy that was cut at its start, say.

A content is known by its first line, so a copy without that line is another one, and its events get other ids: each
would count twice. The lines themselves are the same; some of each file are asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from infra.cli.store import Store
from infra.replay.beginnings import opened
from schemas.errors import InputError
from streams.config import SourceConfig
from streams.rows import hash_column
from streams.sources.content import unreadable
from streams.sources.folder import is_pattern, matching

_EDGE = 50  # lines at the start and at the end of a file, where one overlaps the next
_SPREAD = 200  # and over all of it, at the most
_LINES = 4_096
_STORED = """
SELECT log_generation AS generation, uniqExact(log_hash) AS lines FROM events_{kind}
WHERE log_source = %(source)s AND log_generation != %(generation)s AND log_hash IN %(hashes)s
GROUP BY log_generation ORDER BY lines DESC
"""
_TIMELINES = "SELECT DISTINCT timeline FROM ledger_now WHERE source = %(source)s AND generation = %(generation)s"


def refuse_overlap(store: Store, source: SourceConfig) -> None:
    """Refuse a log of which lines are events of the same source already.

    Raises:
        InputError: some are; or a file cannot be read.
        ServerError: ClickHouse does not answer.
    """
    paths = [str(f.path) for f in matching(source.path)] if is_pattern(source.path) else [source.path]
    for path in paths:
        file = replace(source, path=path)
        generation, lines = _sample(file)
        if lines:
            _refuse(store, file, generation, hash_column(lines).unique().to_list())


def _refuse(store: Store, file: SourceConfig, generation: str, hashes: Sequence[str]) -> None:
    asked = {"source": file.name, "generation": generation, "hashes": tuple(hashes)}
    found = store.rows(_STORED.format(kind=file.kind.value), asked)
    if not found:
        return
    told = []
    for row in found[:3]:
        known = store.rows(_TIMELINES, {"source": file.name, "generation": row["generation"]})
        where = ", ".join(sorted(r["timeline"] or "live" for r in known)) or "unknown"
        told.append(f"{row['lines']} in content {row['generation']}, read as {where}")
    raise InputError(
        f"of {len(hashes)} lines of it that were looked at, some are stored as events of source {file.name!r} already: "
        + "; ".join(told),
        where=file.path,
        hint="nothing was sent, since each of these events would count twice; cut off what was read before, or give "
        "--overlap if they only look alike",
    )


def _sample(file: SourceConfig) -> tuple[str, list[bytes]]:
    """Name of a file's content, and some of its lines: at its start, at its end, and spread over it."""
    content = opened(file)
    if content is None:
        return "", []
    first: list[bytes] = []
    spread: list[bytes] = []
    last: deque[bytes] = deque(maxlen=_EDGE)
    step, place = 1, 0  # every so manieth line, and how many were passed
    try:
        while (chunk := content.read(_LINES, final=True)) is not None or content.busy:
            lines = [] if chunk is None else chunk.lines
            first += lines[: _EDGE - len(first)]
            last.extend(lines[-_EDGE:])
            spread += lines[-place % step :: step]
            place += len(lines)
            while len(spread) > _SPREAD:
                spread, step = spread[::2], 2 * step
    except OSError as error:
        raise unreadable(Path(file.path), error) from error
    finally:
        content.close()
    return content.generation, [line for line in dict.fromkeys([*first, *spread, *last]) if line]
