"""What the soak calls growth, and what it calls lost."""

from __future__ import annotations

import itertools
import time
from typing import Any
from xml.etree import ElementTree as ET

from infra.bench.live import Clock
from tests.benchmarks.bench_soak import difference, growth
from tests.benchmarks.plot import svg


def test_growth_is_the_last_sixth_against_the_second() -> None:
    assert growth([(float(t), 100.0 if t else 900.0) for t in range(60)]) == {
        "early": 100.0,
        "late": 100.0,
        "percent": 0.0,
    }
    assert growth([(float(t), 100.0 + t) for t in range(60)])["percent"] > 30
    assert growth([(0.0, 5.0)])["percent"] == 0.0


def _violation(name: str, at: int, **more: Any) -> dict[str, Any]:
    plain = dict.fromkeys(("status", "group_key", "count", "value", "permit"))
    return {**plain, "id": name, "rule_id": "mass-mail", "first_seen": at, "last_seen": at, **more}


def test_what_is_missing_extra_or_different_is_counted_by_rule_and_what_goes_on_is_left_out() -> None:
    wanted = [_violation("a", 1), _violation("b", 2), _violation("c", 3), _violation("open", 99)]
    assert difference(wanted, wanted, 50) == {"missing": {}, "extra": {}, "different": {}}
    stored = [_violation("a", 1), _violation("b", 2, count=7), _violation("d", 4, rule_id="new-device")]
    assert difference(stored, wanted, 50) == {
        "missing": {"mass-mail": 1},
        "extra": {"new-device": 1},
        "different": {"mass-mail": 1},
    }


def test_the_clock_comes_to_now_from_as_far_back_as_was_asked_for_and_goes_on_with_the_time_of_day() -> None:
    clock = Clock(100.0, 0.5)
    began = clock.now()
    assert 45 < time.time() - began < 50
    times = []
    for _ in range(1_000):
        times.append(clock.now())
        time.sleep(0.0006)
    assert all(a <= b for a, b in itertools.pairwise(times))
    assert abs(clock.now() - time.time()) < 0.1


def test_the_plot_is_well_formed_and_has_a_line_for_each_series() -> None:
    picture = ET.fromstring(svg("a < b", "MB", {"kafka": [(0.0, 1.0), (60.0, 2.0)], "detect & co": [(0.0, 3.0)]}))  # noqa: S314 - our own
    lines = [e for e in picture.iter() if e.tag.endswith("polyline")]
    assert [line.get("points", "").count(",") for line in lines] == [2, 1]
    texts = [e.text for e in picture.iter() if e.tag.endswith("text")]
    assert {"a < b", "kafka", "detect & co", "MB"} <= set(texts)
