"""One format against damaged lines: nothing raises, each has one fate, none costs another, memory is bounded."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import psutil

from schemas.codec import encode
from schemas.registry import column_names
from streams.normalisers.abstract import COLLECTOR_COLUMNS, LineChunk, Normalised, Normaliser, NormaliserSettings
from streams.normalisers.reasons import Refused, vocabulary
from streams.normalisers.registry import make, types
from tests.fuzz.mutate import Mutator
from tests.normalisers.golden_files import GOLDEN

CHUNK = 2_000
GROUP = 20  # damaged lines between two good ones
SLOW_US = 20_000.0  # of one line: what is above it is no parser but a hang
SETTINGS = NormaliserSettings(first_seen=date(2024, 3, 2), max_joins=2_000)
GROWTH_MB = 200
MULTILINE = frozenset({"cisco_ios", "freeradius_detail", "isc_leases"})
"""Types whose record may be several lines: a damaged one costs the record that it stands in."""

REMEMBERING = frozenset({"dhclient", "dnsmasq", "kea"})
"""Types that tell the interface, the client or the time of an event by lines before it, damaged but readable ones too:
behind them an event may know more, but is of the same action about the same address."""
_THE_SAME = ("event_dataset", "event_action", "event_outcome", "source_ip", "source_mac")


@dataclass
class Outcome:
    """What became of the lines of a format.

    Attributes:
        lines: Fed.
        fates: Events, dead letters, ignored, held at the end.
        faults: What must not be; at most a few.
        slowest_us: The slowest chunk, microseconds a line.
        grown_mb: How much the process's memory grew.
    """

    type_name: str
    lines: int = 0
    fates: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    slowest_us: float = 0.0
    grown_mb: int = 0

    def fault(self, what: str) -> None:
        if len(self.faults) < 5:
            self.faults.append(f"{self.type_name}: {what}")


def golden_lines(type_name: str) -> list[bytes]:
    """Good lines of a format: its golden files."""
    names = sorted(GOLDEN.glob(f"{type_name}.log")) or sorted(GOLDEN.glob(f"{type_name}_*.log"))
    return [line for name in names for line in name.read_bytes().removesuffix(b"\n").split(b"\n") if line.strip()]


def fuzz(type_name: str, count: int, seed: str) -> Outcome:
    """Feed so many damaged lines to a format, with good ones between them."""
    outcome = Outcome(type_name)
    good = golden_lines(type_name)
    others = [line for name in types() for line in golden_lines(name)[:3]]
    mutator = Mutator(good, others, f"{seed}/{type_name}")
    before = psutil.Process().memory_info().rss
    normaliser = make(type_name, SETTINGS)
    books = _Books()
    while outcome.lines < count and len(outcome.faults) < 5:
        damaged = [mutator.line() for _ in range(min(CHUNK, count - outcome.lines))]
        started = time.process_time()
        out = _normalise(normaliser, damaged, outcome)
        if out is None:
            normaliser = make(type_name, SETTINGS)
            books = _Books()
            outcome.lines += len(damaged)
            continue
        outcome.slowest_us = max(outcome.slowest_us, (time.process_time() - started) * 1e6 / len(damaged))
        books.enter(out, len(damaged), outcome.lines)
        _check(normaliser, out, outcome)
        outcome.lines += len(damaged)
        if not normaliser.joins and type_name not in MULTILINE:
            _check_neighbours(type_name, damaged[: 4 * GROUP], good, outcome)
    _close(normaliser, books, outcome)
    outcome.grown_mb = round((psutil.Process().memory_info().rss - before) / 2**20)
    if outcome.grown_mb > GROWTH_MB:
        outcome.fault(f"memory grew by {outcome.grown_mb} MB")
    if outcome.slowest_us > SLOW_US:
        outcome.fault(f"a chunk took {outcome.slowest_us:.0f} us a line")
    return outcome


class _Books:
    """Which lines are decided: each exactly once."""

    def __init__(self) -> None:
        self.read = 0
        self.decided: list[int] = []
        self.fates = {"events": 0, "dead letters": 0, "ignored": 0}

    def enter(self, out: Normalised, count: int, start: int) -> None:
        """Take a chunk whose first line has the number `start`."""
        self.read += count
        self.fates["dead letters"] += len(out.rejects)
        self.fates["ignored"] += len(out.ignored)
        self.decided += [start + r.line for r in out.rejects] + [start + i for i, _ in out.ignored]
        self.decided += list(_lines_of(out, start))
        self.fates["events"] += out.events.height


def _lines_of(out: Normalised, start: int) -> Iterator[int]:
    """Numbers of the lines in the events of a chunk, each once."""
    own: set[int] = set()
    joined: list[int] = []
    lists = out.events["log_offsets"].to_list() if "log_offsets" in out.events.columns else None
    for number, line in enumerate(out.events["line"].to_list()):
        offsets = lists[number] if lists else []
        if offsets:
            joined += offsets
        else:
            own.add(start + line)
    yield from own
    yield from joined


def _normalise(normaliser: Normaliser, lines: Sequence[bytes], outcome: Outcome) -> Normalised | None:
    numbers = list(range(outcome.lines, outcome.lines + len(lines)))
    try:
        return normaliser.normalise(LineChunk(lines, numbers))
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001 - Polars' panics are no Exceptions
        outcome.fault(f"{type(error).__name__}: {error!s:.200} on {_culprit(outcome.type_name, lines)!r:.600}")
        return None


def _culprit(type_name: str, lines: Sequence[bytes]) -> bytes:
    """The first line that raises alone, or nothing."""
    for line in lines:
        try:
            make(type_name, SETTINGS).normalise(LineChunk([line], [0]))
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException:  # noqa: BLE001
            return line
    return b"(no line alone)"


def _check(normaliser: Normaliser, out: Normalised, outcome: Outcome) -> None:
    if unknown := {r.reason for r in out.rejects} - set(Refused):
        outcome.fault(f"unknown reasons of dead letters: {unknown}")
    if unknown := {str(reason) for _, reason in out.ignored} - vocabulary():
        outcome.fault(f"unknown reasons: {unknown}")
    if out.events["timestamp"].null_count():
        outcome.fault("an event without a time")
    try:
        _fits(normaliser, out)
    except Exception as error:  # noqa: BLE001 - whatever the codec says
        outcome.fault(f"events that the codec refuses: {error!s:.300}")


def _fits(normaliser: Normaliser, out: Normalised) -> None:
    """Events must fit their Avro schema, whatever was in the lines."""
    name = normaliser.kind.value
    made = out.events.drop("line").with_columns(
        event_id=pl.lit(""), log_source=pl.lit(""), log_generation=pl.lit(""), log_hash=pl.lit(""),
        log_offset=pl.lit(0, pl.Int64), late=pl.lit(value=False), time_suspect=pl.lit(value=False),
    )  # fmt: skip
    assert {*COLLECTOR_COLUMNS} <= set(made.columns)
    encode(name, made.select(column_names(name)))


def _check_neighbours(type_name: str, damaged: Sequence[bytes], good: Sequence[bytes], outcome: Outcome) -> None:
    """A good line says the same behind damaged ones as alone. For formats that remember headers: behind its header."""
    kept = _THE_SAME if type_name in REMEMBERING else ()
    alone = _rows(make(type_name, SETTINGS), good, kept)
    mixed: list[bytes] = []
    at: list[int] = []
    for number, line in enumerate(good):
        if number % 3 == 0 and damaged:
            mixed.append(damaged[number % len(damaged)])
        at.append(len(mixed))
        mixed.append(line)
    if any(line[:1] == b"#" or b"Fields" in line or b"Date" in line[:12] for line in mixed if line not in good):
        return  # a damaged header may rightly change what follows
    among = _rows(make(type_name, SETTINGS), mixed, kept)
    for number, line in enumerate(good):
        if alone.get(number) != among.get(at[number]) and b"repeated" not in line:
            outcome.fault(f"{line!r:.300} is another event behind {mixed[at[number] - 1]!r:.300}")
            return


def _rows(normaliser: Normaliser, lines: Sequence[bytes], kept: Sequence[str] = ()) -> dict[int, list[dict[str, Any]]]:
    """Events by line, of them the columns to be kept or all."""
    found: dict[int, list[dict[str, Any]]] = {}
    for row in normaliser.normalise(LineChunk(lines, list(range(len(lines))))).events.to_dicts():
        line = row.pop("line")
        found.setdefault(line, []).append({name: row[name] for name in kept} if kept else row)
    return found


def _close(normaliser: Normaliser, books: _Books, outcome: Outcome) -> None:
    """Everything is decided once, at the latest by the end of the content."""
    rest = normaliser.finish()
    if rest is not None:
        books.fates["events"] += rest.events.height
        books.decided += list(_lines_of(rest, -1))
    held = normaliser.open_lines
    times = np.unique(np.array(books.decided, np.int64), return_counts=True)
    if len(times[0]) + held < books.read:
        outcome.fault(f"{books.read - len(times[0]) - held} lines have no fate")
    if (times[1] > 1).any():
        outcome.fault(f"line {times[0][times[1] > 1][0]} has more than one fate")
    outcome.fates = {**books.fates, "held": held}
