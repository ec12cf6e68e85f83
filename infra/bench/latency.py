"""From a line stamped now to the violation's row in ClickHouse, while logs are written and followed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

from infra.bench import road
from infra.bench.live_lines import DOMAIN, LOGS, RESULT, Injected, inventory
from infra.bench.subprocesses import ENDED, ONE_THREAD, command
from infra.run.supervisor import Spec
from infra.run.system import ROOT, System

LATENESS_S = 2.0  # of every source; taken off
WARM_S = 5.0
GIVE_UP_S = 60.0  # after the last line
LOOK_S = 0.03
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Latency:
    """What was measured.

    Attributes:
        seconds: Rule and seconds of every violation that came, lateness taken off.
        missing: Violations that did not come.
        lines_per_s: Lines a second that were written.
    """

    seconds: tuple[tuple[str, float], ...]
    missing: int
    lines_per_s: int

    def quantile(self, q: float, rule: str | None = None) -> float | None:
        """The smallest figure that a share `q` of all does not exceed; None where there are none."""
        figures = sorted(s for name, s in self.seconds if rule in (None, name))
        return round(figures[max(0, math.ceil(q * len(figures)) - 1)], 3) if figures else None

    def by_rule(self) -> dict[str, dict[str, float | None]]:
        """Median and 99th percentile of each rule."""
        rules = sorted({name for name, _ in self.seconds})
        return {rule: {"p50": self.quantile(0.5, rule), "p99": self.quantile(0.99, rule)} for rule in rules}


def measure(folder: Path, lines_per_s: int, seconds: float, say: Callable[[str], None]) -> Latency:
    """Start everything, write logs at a load, and watch the violations come.

    Args:
        folder: For logs, servers and state.
        lines_per_s: The load.
        seconds: How long after the warm-up.
        say: Told what is being done.

    Raises:
        ServerError: something cannot be started, or ended meanwhile.
    """
    config_file = prepare(folder)
    with road.started(config_file, folder / "data", say) as system:
        system.start_collectors()
        road.reading_began(system.kafka)
        argv = command("live", [folder, lines_per_s, WARM_S, seconds])
        system.processes.start(Spec("live", argv, ONE_THREAD, ROOT, final=ENDED))
        seen, written = _watch(system, folder / RESULT)
    injected = [Injected(*i) for i in written["injected"]]
    came = tuple((i.rule, seen[i.rule, i.key] - i.stamped - LATENESS_S) for i in injected if (i.rule, i.key) in seen)
    return Latency(came, len(injected) - len(came), written["lines_per_s"])


def prepare(folder: Path) -> Path:
    """Empty logs, the inventory and the configuration; gives the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT).unlink(missing_ok=True)
    (folder / "inventory.csv").write_text(inventory())
    parts = [
        "[district]",
        'name = "Live"',
        'timezone = "UTC"',
        f'domains = ["{DOMAIN}"]',
        'inventory = "inventory.csv"',
    ]
    # Rows are told apart by the names that were injected. Making pseudonyms of them takes microseconds a row, and the
    # throughput of the whole road is measured with them.
    parts += ["[privacy]", "pseudonyms = false"]
    parts += ["[[district.sites]]", 'name = "north"', 'networks = ["10.1.0.0/16"]']
    for name, kind in LOGS.items():
        (folder / f"{name}.log").write_bytes(b"")
        parts += ["[[sources]]", f'name = "{name}"', f'type = "{kind}"', f'path = "{name}.log"', 'mode = "follow"']
        parts += [f"lateness_s = {LATENESS_S}"]
    config_file = folder / "aupstream.toml"
    config_file.write_text("\n".join(parts) + "\n")
    return config_file


def _watch(system: System, result: Path) -> tuple[Mapping[_Key, float], dict[str, Any]]:
    """When each violation was first seen, by rule and key, and what the writer says that it wrote."""
    client = Client.from_url(system.clickhouse)
    seen: dict[_Key, float] = {}
    written: dict[str, Any] | None = None
    deadline = math.inf
    checked = time.monotonic()
    try:
        while time.monotonic() < deadline:
            rows = client.execute("SELECT rule_id, group_key FROM violations WHERE version = 1")
            now = time.time()
            for rule, value in ((rule, value) for rule, group_key in rows for value in group_key.values()):
                seen.setdefault((rule, value), now)
            if written is None and result.exists():
                written, deadline = json.loads(result.read_text()), time.monotonic() + GIVE_UP_S
            if written is not None and all((rule, key) in seen for rule, key, _ in written["injected"]):
                break
            if time.monotonic() - checked > 1:
                road.must_run(system)
                checked = time.monotonic()
            time.sleep(LOOK_S)
    finally:
        client.disconnect()
    return seen, written or {"injected": [], "lines_per_s": 0}
