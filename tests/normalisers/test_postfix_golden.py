"""Golden logs: lines written by hand, and all that must come of them. The expectations are only changed by hand."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from streams.normalisers.abstract import NormaliserSettings
from tests.normalisers.postfix_helpers import assert_conserved, flat, offsets_of, run

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = NormaliserSettings(timezone=ZoneInfo("Europe/Oslo"), first_seen=date(2025, 12, 31))


def as_written(event: dict[str, Any], line_at: dict[int, int]) -> dict[str, Any]:
    """An event as in the golden file: no empty columns, times as ISO 8601, lines by number instead of places."""
    said = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in flat(event).items()}
    if "log_offsets" in said:
        said["lines"] = [line_at[offset] for offset in event["log_offsets"]]
        del said["log_offsets"]
    return said


@pytest.mark.parametrize("log", sorted(GOLDEN.glob("postfix_*.log")), ids=lambda path: path.stem)
def test_a_golden_log_gives_what_is_written_beside_it(log: Path) -> None:
    lines = log.read_text(encoding="utf-8").splitlines()
    expected = json.loads(log.with_suffix(".json").read_text(encoding="utf-8"))
    result = run(lines, SETTINGS)
    line_at = {offset: number for number, offset in enumerate(offsets_of([line.encode() for line in lines]))}
    found = {
        "events": [{"line": e["line"], **as_written(e, line_at)} for e in result.events],
        "finished": [as_written(e, line_at) for e in result.finished],
        "ignored": [list(pair) for pair in result.ignored],
        "dead_letters": [list(pair) for pair in result.rejects],
    }
    assert found == expected
    assert_conserved(lines, result)
