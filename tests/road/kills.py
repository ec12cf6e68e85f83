"""Kills processes of a running system, at moments that a seed chooses by how much work has been done.

`python -m tests.road.kills --seed N --kills K --lines N` simulates a day, runs it with so many kills and checks the
outcome against a backtest; for long runs.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from agents.settings import AGENTS
from infra.run.drain import statuses
from infra.run.system import COLLECT, System
from tests.road.scene import Scene, backtest, simulated
from tests.road.stored import Stored, assert_conserved, assert_same

SERVERS = ("kafka", "clickhouse")
LINES_READ = "aup_lines_read_total"


class Killer:
    """Call `step` often, beside `System.poll`, which starts again what was killed.

    Agents and servers are killed by the number of messages that all agents have handled so far, repeats included; the
    collectors by the lines that their process has read. The seed decides who, in which order and when.

    Args:
        system: Started.
        seed: Of all choices.
        victims: Names from `AGENTS`, `SERVERS` and `COLLECT`, one a kill.
        lines: Lines of all logs.
        messages: About as many as all agents together will handle.
    """

    def __init__(self, system: System, seed: int, victims: Sequence[str], *, lines: int, messages: int) -> None:
        chance = random.Random(seed)
        self._system = system
        others = [v for v in victims if v != COLLECT]
        chance.shuffle(others)
        moments = sorted(chance.uniform(0.02, 0.7) * messages for _ in others)
        self._due = list(zip(moments, others, strict=True))
        self._reads = [chance.uniform(0.02, 0.5) * lines for v in victims if v == COLLECT]
        self._handled: dict[tuple[str, int], int] = {}
        self._read: dict[int, float] = {}
        self._last: dict[str, int] = {}
        self.killed: list[str] = []

    @property
    def left(self) -> int:
        """Kills still to come."""
        return len(self._due) + len(self._reads)

    def step(self) -> None:
        """Kill who is due. At most one of a kind a call, and nobody who has not come back since."""
        self._look()
        if self._reads and self._read.get(self._pid(COLLECT) or -1, 0.0) >= self._reads[0] and self._kill(COLLECT):
            self._reads.pop(0)
        if self._due and sum(self._handled.values()) >= self._due[0][0] and self._kill(self._due[0][1]):
            self._due.pop(0)

    def _look(self) -> None:
        for status in statuses(self._system.paths.status):
            if status["agent"] == COLLECT:
                read = sum(v for name, v in status["metrics"].items() if name.startswith(LINES_READ))
                self._read[status["pid"]] = read
            else:
                self._handled[status["worker"], status["pid"]] = status["handled"]

    def _pid(self, name: str) -> int | None:
        if name in SERVERS:
            return None if self._system.servers is None else self._system.servers.pids.get(name)
        pids = self._system.processes.pids
        return pids.get(name) or pids.get(f"{name}-0")

    def _kill(self, name: str) -> bool:
        pid = self._pid(name)
        if pid is None or pid == self._last.get(name):
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        self._last[name] = pid
        self.killed.append(name)
        print(f"killed {name} ({pid}) after {sum(self._handled.values())} messages")  # noqa: T201 - the run's story
        return True


def run_with_kills(scene: Scene, seed: int, victims: Sequence[str], *, within_s: float) -> list[str]:
    """Run a scene of a simulation to its end under kills, and hold the outcome against a backtest; who was killed.

    Raises:
        AssertionError: a law does not hold, or the run ended before all kills were made.
    """
    files = {str(s.name): Path(s.path) for s in scene.config.sources}
    lines = {name: path.read_bytes().count(b"\n") for name, path in files.items()}
    messages: list[int] = []
    expected = backtest(scene.config, count=messages)
    with scene.running() as system:
        killer = Killer(system, seed, victims, lines=sum(lines.values()), messages=2 * messages[0])
        started = time.monotonic()
        system.wait_until_drained(killer.step, within_s)
        print(f"through after {time.monotonic() - started:.0f} s, {system.processes.starts}")  # noqa: T201
        assert killer.left == 0, f"{killer.left} kills of {len(victims)} were not made"
        stored = Stored(system)
        try:
            assert_conserved(stored, lines)
            assert_same(stored, expected)
        finally:
            stored.close()
    return killer.killed


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--lines", type=int, default=300_000)
    parser.add_argument("--batch-rows", type=int, default=100)
    given = parser.parse_args()
    everyone = (*AGENTS, *SERVERS, COLLECT)
    victims = [everyone[i % len(everyone)] for i in range(given.kills)]
    with tempfile.TemporaryDirectory(prefix="aupstream-kills-") as folder:
        scene = simulated(Path(folder), seed=given.seed, lines=given.lines)
        scene.change(sources=lambda sources: [s | {"batch_rows": given.batch_rows} for s in sources])
        run_with_kills(scene, given.seed, victims, within_s=3_600)
    print("exact: every violation, every line, once")  # noqa: T201


if __name__ == "__main__":
    main()
