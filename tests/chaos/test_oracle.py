"""The oracle says the same as the engine where nothing goes wrong, and more than nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from agents.rules.loader import load_rules
from tests.chaos.oracle import RULES, found_in, wanted
from tests.chaos.workload import BEGIN, LATENESS_S, TYPES, Log, make_logs, permits
from tests.road import scene
from tests.road.scene import Scene, backtest, to_toml


def _scene(folder: Path, logs: tuple[Log, ...]) -> Scene:
    sources = []
    for log in logs:
        path = folder / f"{log.name}.log"
        path.write_bytes(b"".join(line + b"\n" for piece in log.pieces for line in piece))
        sources.append({"name": log.name, "type": TYPES[log.name], "path": str(path), "lateness_s": LATENESS_S})
    (folder / "permits.csv").write_text(permits())
    district = {"permits": str(folder / "permits.csv")}
    (folder / scene.CONFIG).write_text(
        to_toml({"rules": {"paths": [str(RULES)]}, "district": district, "sources": sources})
    )
    return Scene(folder)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_oracle_and_the_engine_find_the_same(seed: int, tmp_path: Path) -> None:
    """One content a log here: rotation changes ids, and who reads a log once reads one content."""
    logs = tuple(Log(log.name, (sum(log.pieces, ()),)) for log in make_logs(seed, 6_000, 60))
    asked = wanted(logs)
    found = {r["id"]: found_in(r) for r in backtest(_scene(tmp_path, logs).config, rules=load_rules([RULES]))}
    assert found == asked.violations
    kinds = Counter(content[0] for content in asked.violations.values())
    assert {"permitted", "violation"} == {content[2] for content in asked.violations.values()}
    assert {"chaos-failures", "chaos-accounts", "chaos-in-order", "chaos-mail"} <= set(kinds)


def test_logs_are_the_same_for_the_same_seed_and_have_every_disturbance() -> None:
    logs = make_logs(3, 6_000, 60)
    assert logs == make_logs(3, 6_000, 60)
    assert logs != make_logs(4, 6_000, 60)
    by_name = {log.name: [line for piece in log.pieces for line in piece] for log in logs}
    assert all(len(log.pieces) > 1 for log in logs)
    proxy = [float(line.split()[0]) for line in by_name["proxy"] if b"broken" not in line]
    ahead = [max(proxy[:i], default=0) - at for i, at in enumerate(proxy)]
    assert sum(0 < by <= LATENESS_S for by in ahead) > 100
    assert sum(by > LATENESS_S for by in ahead) > 5
    assert any(b"broken" in line for line in by_name["logins"])
    assert max(Counter(by_name["logins"]).values()) == 2
    assert proxy[0] > BEGIN.timestamp()
