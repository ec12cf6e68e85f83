"""A log that was read to its end is read on when a longer copy of it comes.

What is kept of the reading is its state at the end and a hash of all its lines. Going on is a reading of its own, in a
timeline of its own, since the ledger of the one before is closed. Of a log whose lines are joined nothing is kept: what
was open at the end has become events, and lines behind it would make others of the same places.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from infra.replay.beginnings import opened, states
from streams.config import SourceConfig
from streams.positions import PositionFile
from streams.sources.content import unreadable

_ENDED = "ended"  # folder beside the positions
_LINES = 4_096


def keep(folder: Path, wanted: SourceConfig, *, joins: bool) -> None:
    """Keep what going on takes of a reading that has ended, in place of its position.

    Args:
        folder: Of positions.
        wanted: What was read, with its timeline.
        joins: Whether its lines are joined.
    """
    place = PositionFile(folder, wanted.name, wanted.timeline)
    state = place.load()
    if state is not None and state["finished"] and not joins:
        digest, _ = _beginning(wanted, state["intake"]["generation"], state["intake"]["offset"])
        if digest:
            PositionFile(folder / _ENDED, wanted.name, wanted.timeline).save({**state, "lines_sha256": digest})
    place.path.unlink(missing_ok=True)  # another log may lie there one day


def ended(folder: Path, source: SourceConfig, generation: str) -> list[Mapping[str, Any]]:
    """States of the readings of a content that have ended, the one that came farthest first."""
    return sorted(states(folder / _ENDED, source, generation), key=lambda s: -int(s["intake"]["offset"]))


def has_more(source: SourceConfig, state: Mapping[str, Any]) -> bool:
    """True where a file begins with all lines of a reading that has ended, and has more.

    Raises:
        InputError: it cannot be read.
    """
    digest, more = _beginning(source, state["intake"]["generation"], state["intake"]["offset"])
    return more and digest == state["lines_sha256"]


def going_on(state: Mapping[str, Any], timeline: str) -> dict[str, Any]:
    """The state that a reading in a timeline of its own goes on from."""
    intake = state["intake"]
    return {
        **state,
        "timeline": timeline,
        "intake": {**intake, "maximum": None, "earliest": None},
        "decisions": [],
        "sent": {**state["sent"], "batches": {}, "records": []},
        "ledger": {"chunks": [], "bases": [[intake["base"], intake["generation"]]], "reading": False},
        "source_state": {},
        "finished": False,
        "clean": True,
    }


def _beginning(source: SourceConfig, generation: str, offset: int) -> tuple[str, bool]:
    """Hash of a file's lines before an offset, empty where that is no end of a line; and whether it has more."""
    content = opened(source)
    if content is None:
        return "", False
    lines, reached = hashlib.sha256(), 0
    try:
        while (chunk := content.read(_LINES, final=True)) is not None or content.busy:
            if chunk is None:
                continue
            count = int(np.searchsorted(chunk.offsets, offset))
            for line in chunk.lines[:count]:
                lines.update(line + b"\n")
            if count:
                reached = chunk.part(0, count).end_offset
            if count < len(chunk.lines):
                same = content.generation == generation and reached == offset
                return (lines.hexdigest() if same else ""), True
    except OSError as error:
        raise unreadable(Path(source.path), error) from error
    finally:
        content.close()
    return (lines.hexdigest() if content.generation == generation and reached == offset else ""), False
