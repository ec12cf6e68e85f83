"""Rules are put in force while everything runs: what is older goes by the rules before, and nothing is forgotten."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.run.system import System
from tests.cli.command import aupstream
from tests.road.scene import Scene, to_toml, wait_until
from tests.road.stored import Stored

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

START = 1_772_465_400  # 2026-03-02, a Monday
RULES = """
title: {title}
name: many-refused
level: low
correlation:
  type: event_count
  rules: [refused]
  group-by: [source_ip]
  timespan: 10m
  condition: {{gte: {limit}}}
---
title: A request that the filter refused
name: refused
logsource: {{category: proxy}}
detection:
  selection: {{event_action: denied}}
  condition: selection
"""


def _refused(address: str, *seconds: int) -> str:
    return "".join(
        f"{START + s}.000    100 {address} TCP_DENIED/403 3900 GET http://games.example/ - HIER_NONE/- text/html\n"
        for s in seconds
    )


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(START + seconds, UTC).isoformat()


def _found(stored: Stored) -> dict[str, tuple[str, int, str]]:
    """Title of the rule, count and state by address."""
    query = "SELECT group_key['source_ip'], rule_title, count, state FROM violations_now ORDER BY ALL"
    rows = stored.rows(query)
    assert len({row[0] for row in rows}) == len(rows), rows
    return {address: (title, count, state) for address, title, count, state in rows}


def _write_rules(folder: Path, title: str, limit: object) -> None:
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "refused.yml").write_text(RULES.format(title=title, limit=limit))


def _kill(system: System, workers: Iterable[str]) -> None:
    for worker in workers:
        pid = system.processes.pid(worker)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)


def _scene(folder: Path, lines: str, limit: int) -> tuple[Scene, Path]:
    log = folder / "access.log"
    log.write_text(lines)
    _write_rules(folder, "First", limit)
    plain: dict[str, Any] = {
        "data": str(folder / "data"),
        "privacy": {"pseudonyms": False},
        "rules": {"paths": ["rules"]},
        "kafka": {"event_partitions": 2, "detection_partitions": 2},
        "sources": [{"name": "proxy", "type": "squid", "path": str(log), "mode": "follow", "lateness_s": 0}],
    }
    scene = Scene(folder)
    scene.file.write_text(to_toml(plain))
    return scene, log


def _append(log: Path, lines: str) -> None:
    with log.open("a") as file:
        file.write(lines)


def _read(system: System, stored: Stored, rows: int) -> None:
    wait_until(system, lambda: stored.number("SELECT count() FROM events_proxy FINAL") == rows)


def test_rules_put_in_force_while_all_runs_judge_from_their_time_on_and_forget_nothing(tmp_path: Path) -> None:
    scene, log = _scene(tmp_path, _refused("10.0.0.1", 0, 1, 2, 3, 4) + _refused("10.0.0.2", 5, 6, 7), 5)
    apply = ("rules", "apply", "--config", scene.file)
    with scene.running() as system:
        stored = Stored(system)
        _read(system, stored, 8)

        _write_rules(tmp_path, "Broken", "{")
        assert aupstream(*apply).code == 3
        _write_rules(tmp_path, "Second", 3)
        early = aupstream(*apply, "--at", _iso(3))
        assert (early.code, "must begin later" in early.err) == (2, True)
        (applied,) = aupstream(*apply, "--at", _iso(100), "--json").objects
        assert (applied["from"], applied["changed"], applied["rules"]) == (_iso(100), True, 1)

        _append(log, _refused("10.0.0.3", 20, 21, 99))  # three, but before the second rules are in force
        _append(log, _refused("10.0.0.2", 100))  # the window is not forgotten: a fourth row of the same ten minutes
        _append(log, _refused("10.0.0.4", 101, 102, 103, 200))
        _kill(system, ("detect-0", "correlate-0"))
        _read(system, stored, 16)
        _append(log, _refused("10.0.0.9", 3_000))
        expected = {
            "10.0.0.1": ("First", 5, "closed"),  # its rows had left when limits changed, or it did not end by them
            "10.0.0.2": ("Second", 4, "closed"),
            "10.0.0.4": ("Second", 4, "closed"),
        }
        wait_until(system, lambda: [v[2] for v in _found(stored).values()] == ["closed"] * 3)
        assert {a: v[1:] for a, v in _found(stored).items()} == {a: v[1:] for a, v in expected.items()}
        assert _found(stored)["10.0.0.4"] == expected["10.0.0.4"]
        stored.close()


def test_rules_changed_while_nothing_runs_are_in_force_from_the_newest_event_on(tmp_path: Path) -> None:
    scene, log = _scene(tmp_path, _refused("10.0.0.1", 0, 1, 2), 3)
    with scene.running() as system:
        stored = Stored(system)
        wait_until(system, lambda: list(_found(stored)) == ["10.0.0.1"])
        stored.close()
    _write_rules(tmp_path, "Second", 2)
    with scene.running() as system:
        stored = Stored(system)
        _append(log, _refused("10.0.0.2", 200, 300) + _refused("10.0.0.9", 3_000))
        wait_until(system, lambda: "10.0.0.2" in _found(stored))
        wait_until(system, lambda: [v[2] for v in _found(stored).values()] == ["closed"] * 2)
        assert _found(stored)["10.0.0.2"] == ("Second", 2, "closed")
        assert _found(stored)["10.0.0.1"][1:] == (3, "closed")
        known = aupstream("rules", "history", "--config", scene.file, "--json").objects
        assert known[0]["from"] == "the beginning"
        assert _iso(2) < known[1]["from"] < _iso(200), "ahead of what was read, and no further than its lateness"
        stored.close()
