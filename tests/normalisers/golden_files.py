"""Golden files: hand-written lines (`<type>.log`) and what becomes of each (`<type>.jsonl`).

A golden file is changed by hand, on purpose. `python -m tests.normalisers.golden_files <type>` prints what the
normaliser now says, to be read before any of it is copied.

`options/<type>@<name>` is another pair, of a source with the options that `options/<type>@<name>.toml` gives.
"""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from streams.normalisers.abstract import LineChunk, Normalised, Normaliser, NormaliserSettings
from streams.normalisers.registry import make

GOLDEN = Path(__file__).resolve().parent / "golden"
SETTINGS = NormaliserSettings(timezone=ZoneInfo("America/New_York"), first_seen=date(2024, 3, 2))


def with_options(type_name: str | None = None) -> list[str]:
    """Names of the pairs that have options, of one type or of all."""
    names = sorted(f"options/{path.stem}" for path in (GOLDEN / "options").glob("*.toml"))
    return [name for name in names if type_name is None or type_of(name) == type_name]


def type_of(name: str) -> str:
    return name.removeprefix("options/").partition("@")[0]


def made(name: str) -> Normaliser:
    """A normaliser for a golden pair."""
    path = GOLDEN / f"{name}.toml"
    options = tomllib.loads(path.read_text(encoding="utf-8")) if name.startswith("options/") else {}
    return make(type_of(name), replace(SETTINGS, options=options))


def lines_of(type_name: str) -> list[bytes]:
    return (GOLDEN / f"{type_name}.log").read_bytes().removesuffix(b"\n").split(b"\n")


def expected_of(type_name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (GOLDEN / f"{type_name}.jsonl").read_text(encoding="utf-8").splitlines()]


def fates(out: Normalised) -> list[dict[str, Any]]:
    """One object an event, a dead letter or an ignored line, in the order of the lines; nulls left out."""
    found: list[dict[str, Any]] = [
        {
            key: str(value) if isinstance(value, datetime) else value
            for key, value in row.items()
            if value is not None and (key, value) != ("event_details", [])
        }
        for row in out.events.to_dicts()
    ]
    found += [{"line": line, "ignored": str(reason)} for line, reason in out.ignored]
    for reject in out.rejects:
        raw = reject.raw.decode("utf-8", "backslashreplace")
        found.append({"line": reject.line, "dead_letter": str(reject.reason), "masked": reject.masked, "raw": raw})
    return sorted(found, key=lambda fate: (fate["line"], fate.get("log_sub", 0)))


def in_chunks(normaliser: Normaliser, lines: list[bytes], size: int, first: int = 0) -> list[dict[str, Any]]:
    """`fates` of lines handed over in chunks of a size, line numbers of the whole; `first`: place of the first line."""
    found = []
    for start in range(0, len(lines), size):
        part = lines[start : start + size]
        out = normaliser.normalise(LineChunk(part, list(range(first + start, first + start + len(part)))))
        found += [{**fate, "line": fate["line"] + start} for fate in fates(out)]
    return found


if __name__ == "__main__":
    name = sys.argv[1]
    for fate in in_chunks(made(name), lines_of(name), 5000):
        print(json.dumps(fate, ensure_ascii=False))  # noqa: T201
