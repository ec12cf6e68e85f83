"""What the comparisons with rsigma have in common: the same events as JSON lines, and processor time of its runs."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

QUIET = ("--quiet", "--no-stats", "--input-format", "json")
SIGMA_NAMES = {
    "source_ip": "c-ip", "user_name": "cs-username", "http_request_method": "cs-method", "url_original": "c-uri",
    "url_domain": "cs-host", "url_path": "cs-uri-stem", "url_query": "cs-uri-query", "url_extension": "c-uri-extension",
    "http_response_status_code": "sc-status", "user_agent_original": "c-useragent", "destination_ip": "dst_ip",
    "http_request_referrer": "cs-referer", "http_response_bytes": "sc-bytes",
}  # fmt: skip
SECONDS_AT_LEAST = 1e-6  # of a run, its start taken off


@dataclass(frozen=True)
class Run:
    """One run: seconds of processor time, and the lines it wrote."""

    seconds: float
    lines: Sequence[bytes]


def json_lines(frame: pl.DataFrame, names: Mapping[str, str]) -> Iterator[str]:
    """Events as JSON objects, with other names for the columns, nulls left out."""
    for row in frame.select(list(names)).rename(dict(names)).iter_rows(named=True):
        yield json.dumps({k: v for k, v in row.items() if v is not None}, ensure_ascii=False) + "\n"


def write_lines(path: Path, frames: Sequence[pl.DataFrame], names: Mapping[str, str]) -> Path:
    """A file of `json_lines` of all frames."""
    with path.open("w", encoding="utf-8") as file:
        for frame in frames:
            file.writelines(json_lines(frame, names))
    return path


def run(command: Sequence[str], events: Path) -> Run:
    """One run over a file of JSON lines."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with events.open("rb") as stdin:
        done = subprocess.run(command, stdin=stdin, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode in (0, 1), done.stderr[-2_000:]
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, done.stdout.splitlines())


def start_of(command: Sequence[str], folder: Path) -> float:
    """Seconds that a run without events takes."""
    empty = folder / "empty.ndjson"
    empty.write_text("", encoding="utf-8")
    return min(run(command, empty).seconds for _ in range(3))


def rates(rows: int, taken: Sequence[float]) -> dict[str, Any]:
    """Events a second: median round, and the best one."""
    return {"median": round(rows / statistics.median(taken)), "best": round(rows / min(taken))}


def together(frames: Sequence[pl.DataFrame], rows: int) -> list[pl.DataFrame]:
    """The same rows in frames of so many: what is done once a container weighs less in larger ones."""
    return list(pl.concat(frames).iter_slices(rows))
