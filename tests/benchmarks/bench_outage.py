"""Takes Kafka, then ClickHouse, away from a running system while logs grow: what was lost, and what grew.

    python -m tests.benchmarks.bench_outage --kafka-minutes 10 --clickhouse-minutes 10 --rate 20000

The whole product on this machine, on made-up logs that are followed, with three violations each 0.2 s. After each
outage as long again is given for catching up. Caught up is when a violation and a proxy event younger than 15 s are in
ClickHouse. Exit code 1 where a line, an event or a violation is missing, or a violation is there that was not made.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from clickhouse_driver import Client
from clickhouse_driver.errors import Error

from infra.bench import road
from infra.bench.latency import prepare
from infra.bench.live_lines import LOGS, RESULT, Injected
from infra.bench.subprocesses import ENDED, ONE_THREAD, command
from infra.cli.auditing import audited
from infra.cli.store import Store
from infra.run.supervisor import Spec
from infra.run.system import ROOT, System

WARM_S = 30.0
REJOIN_S = 120.0  # at most until the agents have found together again after an outage, however short
YOUNG_S = 15.0
END_S = 600.0  # for everything to come through after the last line
LAST_S = 120.0  # for the last violations, once all events are stored


@dataclass
class Watch:
    """What is sampled once a second.

    Attributes:
        system: Started.
        peaks: By phase and process, the most resident memory, MB.
    """

    system: System
    peaks: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))

    def sample(self, phase: str) -> None:
        """Look at every process once."""
        servers = self.system.servers
        pids = {**self.system.processes.pids, **({} if servers is None else servers.pids)}
        for name, pid in pids.items():
            try:
                size = psutil.Process(pid).memory_info().rss / 1e6
            except psutil.Error:
                continue
            self.peaks[phase][name] = max(self.peaks[phase][name], round(size, 1))


def behind_s(client: Client) -> float:
    """Seconds between now and the newest row that came all the way, of violations and of proxy events the worse."""
    asked = (("first_seen", "violations"), ("timestamp", "events_proxy"))
    query = "SELECT toUnixTimestamp64Micro(max({})) FROM {}"
    try:
        times = [int(client.execute(query.format(*what))[0][0]) for what in asked]
    except (Error, OSError, EOFError):
        client.disconnect()
        return float("inf")
    return time.time() - min(times) / 1e6


def outage(watch: Watch, victim: str, seconds: float) -> dict[str, Any]:
    """One outage and what follows it."""
    system = watch.system
    servers = system.servers
    assert servers is not None
    say(f"{victim} is taken away for {seconds:.0f} s")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pid = servers.pids.get(victim)
        if pid is not None and psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)
        system.processes.poll()  # the servers are not: they would be started again
        watch.sample(f"without {victim}")
        time.sleep(1.0)
    say(f"{victim} comes back")
    began = time.monotonic()
    client, caught = Client.from_url(system.clickhouse), None
    while time.monotonic() - began < seconds or caught is None:
        system.poll()
        watch.sample(f"after {victim}")
        behind = behind_s(client)
        if caught is None and behind < YOUNG_S:
            caught = time.monotonic() - began
            say(f"caught up after {caught:.0f} s")
        if caught is None and time.monotonic() - began > 4 * seconds + END_S:
            break
        time.sleep(1.0)
    client.disconnect()
    return {"victim": victim, "seconds": seconds, "caught_up_s": None if caught is None else round(caught, 1)}


def settled(system: System, folder: Path) -> list[str]:
    """Wait until all that was written is through; what is wrong with it."""
    written = {name: (folder / f"{name}.log").read_bytes().count(b"\n") for name in LOGS}
    deadline, store = time.monotonic() + END_S, Store(system.clickhouse)
    try:
        while True:
            system.poll()
            sources = {s.source: s for s in audited(store)}
            wrong = [f"{n}: {sources[n].lines if n in sources else 0} of {lines} lines" for n, lines in written.items()
                     if n not in sources or sources[n].lines != lines]  # fmt: skip
            wrong += [f"{s.source}: {p}" for s in sources.values() for p in s.problems]
            if not wrong or time.monotonic() > deadline:
                return wrong
            time.sleep(2.0)
    finally:
        store.close()


def compared(injected: list[Injected], stored: Mapping[tuple[str, str], float]) -> tuple[list[str], list[str]]:
    """Violations that are missing, and those that nobody made; the warm-up's are not on the list and count as neither.

    Args:
        injected: What was written, in order.
        stored: First event's time by rule and key, Unix seconds.
    """
    wanted = {(i.rule, i.key) for i in injected}
    first = min((i.stamped for i in injected), default=float("inf"))
    missing = [" ".join(key) for key in sorted(wanted - stored.keys())]
    # Logs know whole seconds: one of the warm-up's last second may seem to be of the first that counts.
    extra = [" ".join(key) for key, at in sorted(stored.items()) if key not in wanted and at >= first + 1]
    return missing, extra


def judged(system: System, injected: list[Injected]) -> tuple[list[str], list[str]]:
    """`compared`, once nothing is missing or time is up: the time of the last lines is over only when logs go on."""
    end = time.monotonic() + LAST_S
    while True:
        missing, extra = compared(injected, _stored(system.clickhouse))
        if not missing or time.monotonic() > end:
            return missing, extra
        system.poll()
        time.sleep(2.0)


def _stored(dsn: str) -> dict[tuple[str, str], float]:
    query = "SELECT rule_id, group_key, toUnixTimestamp64Micro(first_seen) FROM violations_now"
    with Client.from_url(dsn) as client:
        return {(rule, next(iter(key.values()))): at / 1e6 for rule, key, at in client.execute(query)}


def measure(folder: Path, rate: int, kafka_s: float, clickhouse_s: float) -> dict[str, Any]:
    """Run it; the result."""
    config_file = prepare(folder)
    with road.started(config_file, folder / "data", say) as system:
        system.start_collectors()
        road.reading_began(system.kafka)
        seconds = 2 * (kafka_s + clickhouse_s) + 2 * REJOIN_S
        argv = command("live", [folder, rate, WARM_S, seconds])
        system.processes.start(Spec("live", argv, ONE_THREAD, ROOT, final=ENDED))
        watch, load = Watch(system), [os.getloadavg()[0]]
        end = time.monotonic() + WARM_S + 10
        while time.monotonic() < end:
            system.poll()
            watch.sample("before")
            time.sleep(1.0)
        outages = [outage(watch, "kafka", kafka_s), outage(watch, "clickhouse", clickhouse_s)]
        say("waiting for the writer to end, and for everything to come through")
        while not (folder / RESULT).exists():
            system.poll()
            time.sleep(1.0)
        load.append(os.getloadavg()[0])
        system.processes.remove("live")
        told = json.loads((folder / RESULT).read_text())
        wrong = settled(system, folder)
        missing, extra = judged(system, [Injected(*i) for i in told["injected"]])
    return {
        "rate_asked": rate, "lines_per_s": told["lines_per_s"], "outages": outages,
        "violations": len(told["injected"]), "missing": missing[:20], "extra": extra[:20], "wrong": wrong,
        "memory_mb": watch.peaks, "load": [round(x, 1) for x in load],
    }  # fmt: skip


def say(text: str) -> None:
    """A sentence on standard error."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka-minutes", type=float, default=10.0)
    parser.add_argument("--clickhouse-minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=20_000, help="lines a second, of all logs together")
    parser.add_argument("--folder", type=Path, help="where to; otherwise one that is removed")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aupstream-outage-", ignore_cleanup_errors=True) as folder:
        place = asked.folder or Path(folder)
        result = measure(place, asked.rate, asked.kafka_minutes * 60, asked.clickhouse_minutes * 60)
    print(json.dumps(result))
    return 1 if result["wrong"] or result["missing"] or result["extra"] else 0


if __name__ == "__main__":
    sys.exit(main())
