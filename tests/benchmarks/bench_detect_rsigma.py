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
import tempfile
import time
from collections.abc import Sequence
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
from tests.benchmarks.rsigma import QUIET, SECONDS_AT_LEAST, SIGMA_NAMES, rates, run, start_of, together, write_lines

ROWS = 5_000  # of a container
CATEGORY = re.compile(r"^ {4}category: (?:proxy|webserver)\b.*$", re.MULTILINE)
BAD_AGENTS = (
    "backdoorbot",
    "Havana/0.1",
    "antSword/v2.1",
    "RookIE/1.0",
    "x pxyscand y",
)  # of SigmaHQ's proxy_ua_malware
ROUTED = (*QUIET, "--logsource-routing", "--event-logsource", "category=proxy")


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


class Ours:
    """Decode and detect."""

    def __init__(self, rules: Path, frames: Sequence[pl.DataFrame]) -> None:
        lint = lint_files([], Beside(collections=(rules,)))
        assert lint.ruleset is not None, lint.errors
        self._containers = [encode("proxy", frame) for frame in frames]
        self._detector = Detector(lint.ruleset, District.of("Bench", "UTC", [], []), Inventory.none())
        self.said = {
            "rules": len(lint.ruleset.rules),
            "left_out": len({error.where.partition(":")[0] for error in lint.left_out}),
        }
        self.round()
        self.said["rows_matched"] = self._detector.counters.candidates

    def round(self) -> float:
        """Seconds of processor time of one round."""
        columns = self._detector.columns(EventKind.PROXY)
        started = time.process_time()
        for container in self._containers:
            self._detector.detect(decode("proxy", container, columns), EventKind.PROXY)
        return time.process_time() - started


def compare(
    rules: Path, frames: Sequence[pl.DataFrame], rounds: int, command: Sequence[str], folder: Path
) -> dict[str, Any]:
    """One line: both in turn, rsigma's start not counted; ours alone without a command."""
    rows = sum(frame.height for frame in frames)
    ours = Ours(rules, frames)
    if not command:
        return {"ours": ours.said | rates(rows, [ours.round() for _ in range(rounds)])}
    events_file = write_lines(folder / "events.ndjson", frames, SIGMA_NAMES)
    start = start_of(command, folder)
    taken: list[float] = []
    theirs: list[float] = []
    lines = 0
    for _ in range(rounds):
        taken.append(ours.round())
        done = run(command, events_file)
        lines = len(done.lines)
        theirs.append(max(done.seconds - start, SECONDS_AT_LEAST))
    mine, other = rates(rows, taken), rates(rows, theirs)
    return {
        "ours": ours.said | mine,
        "rsigma": {"lines_out": lines} | other,
        "ratio": round(mine["median"] / other["median"], 2),
    }


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All lines of the comparison."""
    files = rule_files(options.sigma)
    others = [path for path in sorted(options.sigma.glob("rules*/**/*.yml")) if path not in set(files)]
    few, all_ = copies(files[:50], folder / "few", proxy=True), copies(files, folder / "all", proxy=True)
    many = copies([*files, *others][:3_000], folder / "many", proxy=False)
    quiet, flood = (together(events(options.rows, share), options.container) for share in (0.0, 0.2))
    lines = {
        "50_rules": (few, quiet),
        f"{len(files)}_rules": (all_, quiet),
        f"{len(files)}_rules_flood_20_percent": (all_, flood),
        "routing": (many, quiet),
    }
    figures: dict[str, Any] = {}
    for name, (rules, frames) in lines.items():
        command: list[str] = []
        if options.rsigma is not None:
            command = [str(options.rsigma), "engine", "eval", "-r", str(rules)]
            command += ROUTED if name == "routing" else QUIET
        figures[name] = compare(rules, frames, options.rounds, command, folder)
    return {"rows": options.rows, "container": options.container, "rounds": options.rounds, "lines": figures}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sigma", type=Path, help="folder of SigmaHQ's repository")
    parser.add_argument("--rsigma", type=Path, help="rsigma's binary")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--container", type=int, default=ROWS, help="rows of one container")
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(parser.parse_args(), Path(folder)), indent=1))


if __name__ == "__main__":
    main()
