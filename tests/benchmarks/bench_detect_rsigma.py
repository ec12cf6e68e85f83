"""Detect over SigmaHQ's proxy and web-server rules: `python -m tests.benchmarks.bench_detect_rsigma SIGMA_FOLDER`.

With `--rsigma FILE` the same events go through rsigma in turn, as JSON lines with Sigma's field names. Ours come as
Avro containers and are decoded within the time measured. One thread each; rates are events a second of processor time,
from the median round. Both read the same rule files, whose log source is made `proxy`, so that web-server rules run
too; but for `routing`, which has 3,000 of the folder's rules as they are. Printed is one JSON object.
"""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"  # before Polars is imported

import argparse
import json
import re
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine.detect import Detector
from agents.rules.loader import lint_files
from agents.rules.reading import Beside
from schemas.codec import decode, encode
from schemas.kinds import EventKind
from tests.benchmarks.bench_codec import proxy_frame

ROWS = 5_000  # of a container
CATEGORY = re.compile(r"^ {4}category: (?:proxy|webserver)\b.*$", re.MULTILINE)
BAD_AGENTS = (
    "backdoorbot",
    "Havana/0.1",
    "antSword/v2.1",
    "RookIE/1.0",
    "x pxyscand y",
)  # of SigmaHQ's proxy_ua_malware
QUIET = ("--quiet", "--no-stats", "--input-format", "json")
ROUTED = (*QUIET, "--logsource-routing", "--event-logsource", "category=proxy")
SIGMA_NAMES = {
    "source_ip": "c-ip", "user_name": "cs-username", "http_request_method": "cs-method", "url_original": "c-uri",
    "url_domain": "cs-host", "url_path": "cs-uri-stem", "url_query": "cs-uri-query", "url_extension": "c-uri-extension",
    "http_response_status_code": "sc-status", "user_agent_original": "c-useragent", "destination_ip": "dst_ip",
    "http_request_referrer": "cs-referer", "http_response_bytes": "sc-bytes",
}  # fmt: skip


def rule_files(folder: Path) -> list[Path]:
    """Files of proxy and web-server rules, proxy's first."""
    found = [p for p in sorted(folder.glob("rules*/**/*.yml")) if CATEGORY.search(p.read_text("utf-8"))]
    return sorted(found, key=lambda p: "category: webserver" in p.read_text("utf-8"))


def copies(files: Sequence[Path], into: Path, *, proxy: bool) -> Path:
    """Copies of rules; with `proxy` that is their log source."""
    into.mkdir()
    for number, path in enumerate(files):
        text = path.read_text("utf-8")
        text = CATEGORY.sub("    category: proxy", text) if proxy else text
        (into / f"{number:04}.yml").write_text(text, encoding="utf-8")
    return into


def events(count: int, flood: float) -> list[pl.DataFrame]:
    """Ordinary proxy events; a share of them with agents that rules are about."""
    frames = []
    for seed in range(count // ROWS):
        frame = proxy_frame(ROWS, seed)
        row = pl.int_range(pl.len())
        bad = pl.lit(pl.Series(BAD_AGENTS)).gather(row % len(BAD_AGENTS))
        agent = pl.when(row % 100 < round(flood * 100)).then(bad).otherwise(pl.col("user_agent_original"))
        frames.append(frame.with_columns(user_agent_original=agent))
    return frames


def ours(rules: Path, frames: Sequence[pl.DataFrame], rounds: int) -> dict[str, Any]:
    """Decode and detect."""
    lint = lint_files([], Beside(collections=(rules,)))
    assert lint.ruleset is not None, lint.errors
    containers = [encode("proxy", frame) for frame in frames]
    detector = Detector(lint.ruleset, District.of("Bench", "UTC", [], []), Inventory.none())
    columns = detector.columns(EventKind.PROXY)
    taken, found = [], 0
    for _ in range(rounds + 1):
        started, found = time.process_time(), detector.counters.candidates
        for container in containers:
            detector.detect(decode("proxy", container, columns), EventKind.PROXY)
        taken.append(time.process_time() - started)
        found = detector.counters.candidates - found
    rows = sum(frame.height for frame in frames)
    return {
        "rules": len(lint.ruleset.rules),
        "left_out": len({error.where.partition(":")[0] for error in lint.left_out}),
        "rows_matched": found,
        **rates(rows, taken[1:]),
    }


def theirs(command: Sequence[str], frames: Sequence[pl.DataFrame], rounds: int, folder: Path) -> dict[str, Any]:
    """The same through rsigma, its start not counted."""
    file, empty = folder / "events.ndjson", folder / "empty.ndjson"
    file.write_text("".join(json_lines(frames)), encoding="utf-8")
    empty.write_text("", encoding="utf-8")
    start = min(processor_time(command, empty)[0] for _ in range(3))
    runs = [processor_time(command, file) for _ in range(rounds)]
    rows = sum(frame.height for frame in frames)
    return {"lines_out": runs[0][1], **rates(rows, [max(taken - start, 1e-6) for taken, _ in runs])}


def json_lines(frames: Sequence[pl.DataFrame]) -> Iterator[str]:
    """Events with Sigma's names, nulls left out."""
    for frame in frames:
        for row in frame.select(list(SIGMA_NAMES)).rename(SIGMA_NAMES).iter_rows(named=True):
            yield json.dumps({k: v for k, v in row.items() if v is not None}, ensure_ascii=False) + "\n"


def processor_time(command: Sequence[str], file: Path) -> tuple[float, int]:
    """Seconds of processor time of one run, and the lines it wrote."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with file.open("rb") as stdin:
        run = subprocess.run(command, stdin=stdin, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run.returncode in (0, 1), run.stderr[-2_000:]
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, run.stdout.count(b"\n")


def rates(rows: int, taken: Sequence[float]) -> dict[str, int]:
    """Events a second: median round, and the best one."""
    return {"median": round(rows / statistics.median(taken)), "best": round(rows / min(taken))}


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All lines of the comparison."""
    files = rule_files(options.sigma)
    others = [path for path in sorted(options.sigma.glob("rules*/**/*.yml")) if path not in set(files)]
    few, all_ = copies(files[:50], folder / "few", proxy=True), copies(files, folder / "all", proxy=True)
    many = copies([*files, *others][:3_000], folder / "many", proxy=False)
    quiet, flood = events(options.rows, 0.0), events(options.rows, 0.2)
    lines = {
        "50_rules": (few, quiet),
        f"{len(files)}_rules": (all_, quiet),
        f"{len(files)}_rules_flood_20_percent": (all_, flood),
        "routing": (many, quiet),
    }
    figures: dict[str, Any] = {}
    for name, (rules, frames) in lines.items():
        line: dict[str, Any] = {"ours": ours(rules, frames, options.rounds)}
        if options.rsigma is not None:
            command = [str(options.rsigma), "engine", "eval", "-r", str(rules)]
            command += ROUTED if name == "routing" else QUIET
            line["rsigma"] = theirs(command, frames, options.rounds, folder)
            line["ratio"] = round(line["ours"]["median"] / line["rsigma"]["median"], 2)
        figures[name] = line
    return {"rows": options.rows, "rounds": options.rounds, "lines": figures}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sigma", type=Path, help="folder of SigmaHQ's repository")
    parser.add_argument("--rsigma", type=Path, help="rsigma's binary")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(parser.parse_args(), Path(folder)), indent=1))


if __name__ == "__main__":
    main()
