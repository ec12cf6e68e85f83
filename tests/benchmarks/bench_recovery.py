"""How long a worker takes to come back with a million keys: `python -m tests.benchmarks.bench_recovery`.

The whole product on this machine. A log of as many users is read, a rule keeps a window for each; then correlate is
killed with -9, and a second line of one user is written at once. Measured is the time from the kill to that user's
violation in ClickHouse, with the time that the supervisor waits and that Kafka takes to give the partitions back.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from infra.bench import road
from infra.cli.store import Store
from infra.run.drain import statuses
from infra.run.system import System
from tests.benchmarks.bench_outage import say

START = 1_772_000_000
WORKER = "correlate-0"
WITHIN_S = 1_800.0
LATER_S = 7_200  # a quiet log counts as covered up to now: what is written then must not be late
_CONFIG = """
[privacy]
pseudonyms = false
[rules]
paths = ["rules.yml"]
[[sources]]
name = "proxy"
type = "squid"
path = "access.log"
mode = "follow"
lateness_s = 0
"""
_RULES = """
title: The same user twice
name: twice
description: Two pages of one user.
falsepositives: [everybody]
level: low
correlation: {type: event_count, rules: [page], group-by: [user_name], timespan: 7d, condition: {gte: 2}}
aupstream: {clause: 2}
---
title: A page
name: page
logsource: {category: proxy}
detection:
  selection: {event_action|exists: true}
  condition: selection
"""


def _line(second: int, user: int) -> str:
    return (
        f"{START + second}.000 1 10.0.0.1 TCP_MISS/200 900 GET http://a.example/ user{user} HIER_DIRECT/192.0.2.7 -\n"
    )


def prepare(folder: Path, keys: int) -> Path:
    """The log, the rules and the configuration; gives the latter. A thousand lines have the same second."""
    with (folder / "access.log").open("w") as log:
        log.writelines(_line(n // 1_000, n) for n in range(keys))
    (folder / "rules.yml").write_text(_RULES)
    file = folder / "aupstream.toml"
    file.write_text(_CONFIG)
    return file


def wait(system: System, reached: Callable[[], bool]) -> float:
    """Keep everything running until something is reached; seconds that it took.

    Raises:
        TimeoutError: it was not.
    """
    began = time.monotonic()
    while not reached():
        system.poll()
        if time.monotonic() - began > WITHIN_S:
            raise TimeoutError(f"not reached after {WITHIN_S:.0f} s; logs are in {system.paths.logs}")
        time.sleep(0.2)
    return round(time.monotonic() - began, 1)


def keys_held(system: System) -> int:
    """Keys of which correlate holds a window, by its status file."""
    found = [s for s in statuses(system.paths.status) if s["worker"] == WORKER]
    return int(sum(place.get("keys", 0) for s in found for place in s["inputs"].values()))


def measure(folder: Path, keys: int) -> dict[str, Any]:
    """Run it; the figures."""
    file = prepare(folder, keys)
    with road.started(file, folder / "data", say) as system:
        say(f"reading {keys} lines of as many users")
        system.start_collectors()
        filled = wait(system, lambda: keys_held(system) >= keys - 1_000)  # the last second waits for the next one
        wait(system, lambda: not any(system.drain().left().values()))
        time.sleep(5.0)  # a checkpoint more
        state = sum(p.stat().st_size for p in (folder / "data").rglob("aup.state.correlate-*/*.log"))
        pid = system.processes.pids[WORKER]
        memory = psutil.Process(pid).memory_info().rss
        say(f"{keys_held(system)} keys after {filled} s; killing {WORKER}")
        os.kill(pid, signal.SIGKILL)
        with (folder / "access.log").open("a") as log:
            log.write(_line(keys // 1_000 + LATER_S, 7) + _line(keys // 1_000 + 2 * LATER_S, keys + 1))
        store = Store(system.clickhouse)
        try:
            recovered = wait(system, lambda: store.rows("SELECT count() AS n FROM violations_now")[0]["n"] == 1)
        finally:
            store.close()
        held = keys_held(system)
    return {
        "keys": keys, "recovered_s": recovered, "keys_after": held, "filled_s": filled,
        "state_topic_mb": round(state / 1e6), "worker_mb": round(memory / 1e6), "load": os.getloadavg()[0],
    }  # fmt: skip


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aupstream-recovery-", ignore_cleanup_errors=True) as folder:
        sys.stdout.write(f"{json.dumps(measure(Path(folder), asked.keys))}\n")


if __name__ == "__main__":
    main()
