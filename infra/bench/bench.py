"""Everything that is measured, in order, as one object."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.bench import latency, naive, road
from infra.bench.formats import LINES
from infra.bench.options import FEWEST, SAMPLE, SMALL_LOAD, Options
from infra.bench.subprocesses import result_of
from infra.bench.usage import machine
from infra.simulate import simulate
from schemas.errors import ConfigError

CONFIG = "aupstream.toml"


def run(options: Options) -> dict[str, Any]:
    """Measure everything; blocks for minutes.

    Returns:
        One object with exactly the keys of `KEYS`.

    Raises:
        ConfigError: options are out of range.
        AupstreamError: a part cannot be started, or its rows did not come in time.
    """
    if options.lines < FEWEST or options.runs < 1 or options.rounds < 1 or options.latency_s <= 0:
        what = f"{options.lines} lines, {options.runs} runs, {options.rounds} rounds, {options.latency_s} s"
        raise ConfigError(what, where="bench", hint=f"give at least {FEWEST} lines, and at least one of the others")
    began, on = time.monotonic(), machine()
    with _folder(options.folder) as folder:
        figures = _Measuring(options, folder).all()
    return {**figures, "machine": on, "seconds": round(time.monotonic() - began, 1)}


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="aupstream-bench-") as made:
        yield Path(made)


class _Measuring:
    def __init__(self, options: Options, folder: Path) -> None:
        self._options, self._say, self._folder = options, options.say, folder
        self._day = self._simulated("day", options.lines)
        small = min(options.lines, SAMPLE)
        self._sample = self._day if small == options.lines else self._simulated("sample", small)
        self._sample_lines = small

    def _simulated(self, name: str, lines: int) -> Path:
        """Configuration of a simulated day."""
        self._say(f"simulating {lines} lines")
        simulate(self._options.seed, lines, self._folder / name)
        return self._folder / name / CONFIG

    def all(self) -> dict[str, Any]:
        """All figures but machine and time."""
        self._say("one core: parse, encode, detect, correlate")
        cores = result_of("cores", self._sample, self._options.rounds)
        self._say("one core: every format")
        cores |= result_of("formats", self._options.rounds, min(LINES, self._options.lines))
        whole = self._whole_road()
        compared = self._naive(whole["whole_road_lines_per_s"])
        waited = self._latency(whole["whole_road_lines_per_s"])
        return {**whole, **compared, **cores, **waited}

    def _whole_road(self) -> dict[str, Any]:
        options = self._options
        expected = result_of("expected", self._day)
        events = sum(expected["events"].values())
        runs = []
        for number in range(1, options.runs + 1):
            self._say(f"the whole road, {options.lines} lines, run {number} of {options.runs}")
            runs.append(road.measure(self._day, self._folder / "road", expected, self._say))
        middle = sorted(runs, key=lambda r: r.seconds)[len(runs) // 2]
        peaks: dict[str, float] = {}
        for r in runs:
            peaks |= {name: max(mb, peaks.get(name, 0.0)) for name, mb in r.peak_rss_mb.items()}
        return {
            "whole_road_lines_per_s": round(statistics.median(options.lines / r.seconds for r in runs)),
            "whole_road_runs": [round(options.lines / r.seconds) for r in runs],
            "whole_road_seconds": [round(r.seconds, 2) for r in runs],
            "whole_road_exact": all(r.exact for r in runs),
            "whole_road_cpu_s": dict(middle.cpu_s),
            "peak_rss_mb": peaks,
            "bytes_per_event_kafka": round(statistics.median(r.kafka_bytes for r in runs) / max(events, 1), 1),
            "lines": options.lines,
            "events": events,
            "violations": len(expected["violations"]),
            "seed": options.seed,
            "runs": options.runs,
        }

    def _naive(self, ours: int) -> dict[str, Any]:
        self._say(f"a naive Faust pipeline, {self._sample_lines} lines")
        expected = result_of("expected", self._sample)
        figures = naive.measure(self._sample, self._folder / "naive", expected, self._say)
        rate = self._sample_lines / figures.seconds
        return {
            "naive_lines_per_s": round(rate),
            "naive_lines": self._sample_lines,
            "naive_seconds": round(figures.seconds, 2),
            "naive_violations": figures.violations,
            "naive_expected": len(expected["violations"]),
            "naive_cpu_s": dict(figures.cpu_s),
            "whole_road_times_naive": round(ours / rate, 2),
        }

    def _latency(self, ours: int) -> dict[str, Any]:
        figures: dict[str, Any] = {}
        for prefix, load in (("latency", ours // 2), ("latency_small", SMALL_LOAD)):
            self._say(f"latency at {load} lines a second")
            measured = latency.measure(self._folder / prefix, load, self._options.latency_s, self._say)
            figures[f"{prefix}_p50_s"], figures[f"{prefix}_p99_s"] = measured.quantile(0.5), measured.quantile(0.99)
            figures[f"{prefix}_lines_per_s"] = measured.lines_per_s
            if prefix == "latency":
                figures |= {
                    "latency_max_s": measured.quantile(1.0),
                    "latency_samples": len(measured.seconds),
                    "latency_missing": measured.missing,
                    "latency_by_rule": measured.by_rule(),
                    "latency_lateness_s": latency.LATENESS_S,
                }
        return figures
