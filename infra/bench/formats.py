"""Lines a second of every format, on one core: `python -m infra.bench.formats ROUNDS [LINES]` prints one JSON.

The lines are those of the formats' golden files that become events, again and again, each time with other addresses,
other numbers in names and other identifiers, so that no memory of a line helps. Where a change would make a line
another one (fewer events come of it), less is changed. A log is mostly of one form, so the first events of a golden
file, which show the main form, are measured alone; and all of them together, rare and odd forms as often as others.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Any

from infra.bench.cores import CHUNK_LINES, timed
from infra.run.system import ROOT
from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.registry import make, types
from streams.runner import collect_garbage_seldom

GOLDEN = ROOT / "tests" / "normalisers" / "golden"
LINES = 20_000  # of each format; fewer only for a test, since the rates are those of warm caches
MAIN = 3  # events that show the main form
SETTINGS = NormaliserSettings(first_seen=date(2024, 3, 2))

_IPV4 = re.compile(rb"(?<![\d.])(\d{1,3}\.\d{1,3}\.)\d{1,3}\.\d{1,3}(?![\d.])")
_IDENTIFIER = re.compile(rb"(?<![0-9A-Za-z])(?=[0-9]*[A-Za-z])(?=[A-Za-z]*[0-9])[0-9A-Za-z]{8,64}(?![0-9A-Za-z])")
_ROTATED = {first: bytes.maketrans(first, first[1:] + first[:1]) for first in (b"123456789", b"bcdef", b"BCDEF")}

Change = Callable[[bytes, int], bytes]


def same(line: bytes, copy: int) -> bytes:
    """The line as it is."""
    del copy
    return line


def addresses(line: bytes, copy: int) -> bytes:
    """Other IPv4 addresses in the same network."""
    return _IPV4.sub(lambda match: match[1] + b"%d.%d" % (copy % 250, copy * 7 % 250 + 1), line)


def identifiers(line: bytes, copy: int) -> bytes:
    """Other addresses, and other identifiers of the same kinds of signs."""

    def rotated(match: re.Match[bytes]) -> bytes:
        token = match[0]
        for step, table in enumerate(_ROTATED.values()):
            for _ in range((copy // (step * 9 + 1)) % 9):
                token = token.translate(table)
        return token

    return _IDENTIFIER.sub(rotated, addresses(line, copy))


def measure(rounds: int, lines: int = LINES) -> dict[str, Any]:
    """Lines a second by type; empty where the golden files are not there (an installed package)."""
    main = {name: round(rate) for name in types() if (rate := _rate(name, _main_form(name), rounds, lines))}
    mixed = {name: round(rate) for name in types() if (rate := _rate(name, _lines(name), rounds, lines))}
    return {
        "format_lines_per_s": main,
        "format_lines_per_s_least": min(main.values(), default=0),
        "format_lines_per_s_all_forms": mixed,
    }


def _rate(name: str, good: Sequence[bytes], rounds: int, count: int) -> float:
    if not good:
        return 0.0
    plain = _events(name, good)
    changes: tuple[Change, ...] = (identifiers, addresses, same)
    best = next(change for change in changes if _events(name, [change(line, 5) for line in good]) == plain)
    rows = [line for line in good if not _names_columns(name, line)]
    copies = -(-count // len(rows))
    lines = [*good, *(best(line, copy) for copy in range(1, copies) for line in rows)][:count]
    chunks = [
        LineChunk(lines[start : start + CHUNK_LINES], range(start, min(start + CHUNK_LINES, len(lines))))
        for start in range(0, len(lines), CHUNK_LINES)
    ]
    return timed(partial(_read, name, chunks), rounds)


def _read(name: str, chunks: Sequence[LineChunk]) -> int:
    normaliser = make(name, SETTINGS)
    for chunk in chunks:
        normaliser.normalise(chunk)
    normaliser.finish()
    return sum(len(chunk.lines) for chunk in chunks)


def _events(name: str, lines: Sequence[bytes]) -> int:
    normaliser = make(name, SETTINGS)
    out = normaliser.normalise(LineChunk(lines, range(len(lines))))
    rest = normaliser.finish()
    return out.events.height + (0 if rest is None else rest.events.height)


def _lines(name: str) -> list[bytes]:
    """Lines of the golden files: those that are events or name columns; of formats with joins all."""
    files = sorted(GOLDEN.glob(f"{name}.log")) or sorted(GOLDEN.glob(f"{name}_*.log"))
    lines = [line for file in files for line in file.read_bytes().removesuffix(b"\n").split(b"\n")]
    told = GOLDEN / f"{name}.jsonl"
    if not told.is_file() or make(name, SETTINGS).joins:
        return lines
    fates = [json.loads(fate) for fate in told.read_text("utf-8").splitlines()]
    wanted = {fate["line"] for fate in fates if "event_action" in fate or fate.get("ignored") == "header"}
    return [line for number, line in enumerate(lines) if number in wanted]


def _main_form(name: str) -> list[bytes]:
    """The first events of the golden file, with the lines that name columns before them; of formats with joins all."""
    lines = _lines(name)
    if make(name, SETTINGS).joins:
        return lines
    chosen: list[bytes] = []
    found = 0
    for line in lines:
        if found and _names_columns(name, line):
            break
        chosen.append(line)
        found += _events(name, chosen) > found
        if found >= MAIN:
            break
    return chosen


def _names_columns(name: str, line: bytes) -> bool:
    """Whether a line heads a table: in a log it stands once, not between every two rows."""
    made = make(name, SETTINGS).normalise(LineChunk([line], [0]))
    return not made.events.height and [str(reason) for _, reason in made.ignored] == ["header"]


if __name__ == "__main__":
    collect_garbage_seldom()  # as the collectors' process does
    sys.stdout.write(json.dumps(measure(*map(int, sys.argv[1:]))) + "\n")
