"""Runs everything for an hour, in which the logs tell of a week, and looks whether anything grows.

    python -m tests.benchmarks.bench_soak --minutes 60 --days 7 --rate 5000 --plot soak.svg

The whole product on this machine, on made-up logs that are followed. Resident memory and open files of every process
are sampled all the time and plotted. In the end every line must be accounted for, and the violations that stand must be
those of a backtest of the same logs, in id and content; the last day is left out, in which some still go on. Growth is
the median of the last sixth against that of the second. Exit code 1 where anything is lost or differs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from infra.bench import road
from infra.bench.latency import prepare
from infra.bench.live_lines import RESULT
from infra.bench.subprocesses import ENDED, ONE_THREAD, command
from infra.config import load
from infra.run.supervisor import Spec
from infra.run.system import ROOT, System
from tests.benchmarks.bench_outage import say, settled
from tests.benchmarks.plot import svg
from tests.road.scene import backtest
from tests.road.stored import Stored

WARM_S = 10.0
LOOK_S = 5.0
DAY_S = 86_400
_CONTENT = ("rule_id", "status", "group_key", "first_seen", "last_seen", "count", "value", "permit")
Series = dict[str, list[tuple[float, float]]]


@dataclass
class Watch:
    """What is sampled: seconds since the beginning and a value, by process."""

    system: System
    memory_mb: Series = field(default_factory=lambda: defaultdict(list))
    files: Series = field(default_factory=lambda: defaultdict(list))
    began: float = field(default_factory=time.monotonic)

    def sample(self) -> None:
        """Look at every process once."""
        now = round(time.monotonic() - self.began, 1)
        for name, pid in road.pids(self.system).items():
            if name == "live":
                continue
            try:
                process = psutil.Process(pid)
                self.memory_mb[name].append((now, round(process.memory_info().rss / 1e6, 1)))
                self.files[name].append((now, float(process.num_fds())))
            except psutil.Error:
                continue


def growth(line: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Medians of the second and of the last sixth, and how much more the latter is, in percent."""
    sixth = max(1, len(line) // 6)
    early, late = (median(v for _, v in part) for part in (line[sixth : 2 * sixth] or line, line[-sixth:]))
    return {"early": early, "late": late, "percent": round(100 * (late / early - 1), 1) if early else 0.0}


def difference(
    stored: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]], end: int
) -> dict[str, dict[str, int]]:
    """Violations that are missing, extra or different, by rule, among those that were over before a time.

    Args:
        stored: Last versions as they stand.
        wanted: What they should be.
        end: Microseconds UTC.
    """
    here, there = ({r["id"]: r for r in some} for some in (stored, wanted))
    over = {i for some in (here, there) for i, r in some.items() if r["last_seen"] < end}
    found = {
        "missing": [there[i] for i in over if i not in here],
        "extra": [here[i] for i in over if i not in there],
        "different": [
            here[i] for i in over if i in here and i in there and any(here[i][c] != there[i][c] for c in _CONTENT)
        ],
    }
    return {what: dict(Counter(r["rule_id"] for r in some)) for what, some in found.items()}


def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Run it; the result."""
    config_file, seconds = prepare(folder), asked.minutes * 60
    with road.started(config_file, folder / "data", say) as system:
        system.start_collectors()
        road.reading_began(system.kafka)
        pace = asked.days * DAY_S / (seconds + WARM_S)
        argv = command("live", [folder, asked.rate, WARM_S, seconds, pace, asked.inject_s])
        system.processes.start(Spec("live", argv, ONE_THREAD, ROOT, final=ENDED))
        say(f"{asked.minutes:g} minutes in which {asked.days:g} days go by, {asked.rate} lines a second")
        watch, restarts = Watch(system), list[str]()
        said_s = 0.0
        while not (folder / RESULT).exists():
            restarts += [sentence for sentence in system.poll() if "ended" in sentence]
            watch.sample()
            if time.monotonic() - said_s > 300:
                said_s = time.monotonic()
                say(" ".join(f"{name} {line[-1][1]:.0f} MB" for name, line in watch.memory_mb.items()))
            time.sleep(LOOK_S)
        busy = os.getloadavg()[0]
        if asked.plot:  # whatever becomes of the rest
            what = f"resident memory: {asked.days:g} days in {asked.minutes:g} minutes, {asked.rate} lines/s"
            asked.plot.write_text(svg(what, "MB", watch.memory_mb))
        say(" ".join(f"{name} {growth(line)['percent']:+} %" for name, line in watch.memory_mb.items()))
        system.processes.remove("live")
        written = json.loads((folder / RESULT).read_text())
        say("waiting for everything to come through")
        wrong, stored = settled(system, folder), Stored(system)
        say("judging the same logs without servers")
        wanted, there = backtest(load(config_file)), stored.violations()
        stored.close()
        end = int((time.time() - DAY_S) * 1e6)
        compared = difference(there, wanted, end)
    return {
        "rate_asked": asked.rate, "lines_per_s": written["lines_per_s"], "days": asked.days, "minutes": asked.minutes,
        "violations": len(there), "over": sum(r["last_seen"] < end for r in wanted), **compared,
        "wrong": wrong, "restarts": restarts, "load": round(busy, 1),
        "memory_mb": {name: growth(line) for name, line in watch.memory_mb.items()},
        "files": {name: growth(line) for name, line in watch.files.items()},
    }  # fmt: skip


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--days", type=float, default=7.0, help="of event time")
    parser.add_argument("--rate", type=int, default=5_000, help="lines a second, of all logs together")
    parser.add_argument("--inject-s", type=float, default=5.0, help="seconds from one violation of a kind to the next")
    parser.add_argument("--plot", type=Path, help="SVG file for the memory curves")
    parser.add_argument("--folder", type=Path, help="where to; otherwise one that is removed")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aupstream-soak-", ignore_cleanup_errors=True) as folder:
        result = measure(asked.folder or Path(folder), asked)
    sys.stdout.write(f"{json.dumps(result)}\n")
    clean = not (result["wrong"] or result["missing"] or result["extra"] or result["different"] or result["restarts"])
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
