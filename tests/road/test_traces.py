"""Traces of batches through the real road, to a receiver of OTLP over HTTP; and JSON logs of the same processes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from infra.run.drain import statuses
from infra.run.health import series
from schemas.records import encode_record
from tests.road.otlp import Received, receiving
from tests.road.scene import WITHIN_S, Scene, backtest, simulated, wait_until
from tests.road.stored import Stored, assert_same

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]
AFTER = {"identify": {"collect"}, "detect": {"collect"}, "correlate": {"detect"}, "notify": {"correlate"}}


@dataclass(frozen=True)
class Traced:
    """What a run with every batch traced left behind."""

    scene: Scene
    spans: dict[str, Received]
    metrics: dict[str, float]
    violations: set[bytes]
    logs: dict[str, list[str]]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    scene = simulated(tmp_path_factory.mktemp("traces"), seed=1, lines=20_000)
    with receiving() as receiver:
        scene.change(traces={"endpoint": receiver.endpoint, "sample": 1.0}, logs={"format": "json"})
        with scene.running() as system:
            system.wait_until_drained(within_s=WITHIN_S)
            paths = system.paths
            wait_until(system, lambda: _whole(receiver.spans), WITHIN_S)
            metrics = series(statuses(paths.status))
            answers = Stored(system)
            assert_same(answers, backtest(scene.config))
            values = {encode_record("violation", record) for record in answers.violations()}
            answers.close()
        logs = {path.name: path.read_text().splitlines() for path in paths.logs.glob("*.log")}
        yield Traced(scene, {s.span_id: s for s in receiver.spans}, metrics, values, logs)


def _whole(spans: list[Received]) -> bool:
    """Every span that is gone on from is there, every batch is stored, and every violation that was told of is."""
    children = {(span.parent_id, span.name) for span in spans}
    ids = {span.span_id for span in spans}
    stored = all((span.span_id, "persist") in children for span in spans if span.name == "collect")
    ends = {name for parent, name in children if (parent, "notify") in children}
    return stored and ids >= {parent for parent, _ in children if parent} and ends == {"persist", "notify"}


def _chain(traced: Traced, span: Received) -> list[str]:
    """Names from the first span of a trace to this one."""
    names = [span.name]
    while span.parent_id:
        parent = traced.spans[span.parent_id]
        assert parent.trace_id == span.trace_id
        span = parent
        names.append(span.name)
    return names[::-1]


def test_one_trace_holds_collect_detect_correlate_and_persist_of_a_violation(traced: Traced) -> None:
    whole = [s for s in traced.spans.values() if s.attributes.get("messaging.destination.name") == "aup.violations"]
    assert {tuple(_chain(traced, s)) for s in whole} == {
        ("collect", "detect", "correlate", "persist"),
        ("collect", "detect", "correlate", "notify"),
    }


def test_every_span_goes_on_from_the_agent_before_it(traced: Traced) -> None:
    for span in traced.spans.values():
        if span.name == "collect":
            assert not span.parent_id
        else:
            assert traced.spans[span.parent_id].name in AFTER.get(span.name, {"collect", "correlate"})
        assert span.start_ns <= span.end_ns


def test_a_batch_is_one_trace_that_says_where_it_is_from(traced: Traced) -> None:
    begun = [s for s in traced.spans.values() if s.name == "collect"]
    assert max(Counter(s.trace_id for s in begun).values()) == 1
    rows = Counter[str]()
    for span in begun:
        assert re.fullmatch(r"[0-9a-f]+", span.attributes["aup.generation"])
        assert int(span.attributes["aup.first_offset"]) <= int(span.attributes["aup.last_offset"])
        rows[span.attributes["aup.source"]] += int(span.attributes["aup.rows"])
    assert rows.keys() == {s.name for s in traced.scene.config.collectors()}
    assert all(rows.values())


def test_tracing_changes_nothing_of_a_violation(traced: Traced) -> None:
    assert traced.violations == {encode_record("violation", r) for r in backtest(traced.scene.config)}


def test_latency_from_line_read_to_violation_stored_is_counted(traced: Traced) -> None:
    count = traced.metrics["aup_latency_seconds_count"]
    assert 0 < count <= sum(v for n, v in traced.metrics.items() if n.startswith("aup_violations_total"))
    assert traced.metrics['aup_latency_seconds_bucket{le="+Inf"}'] == count
    assert 0 < traced.metrics["aup_latency_seconds_sum"] < count * WITHIN_S


def test_every_line_of_every_log_is_one_json_object(traced: Traced) -> None:
    agents = {"identify-0.log", "detect-0.log", "correlate-0.log", "persist-0.log", "notify-0.log"}
    assert traced.logs.keys() == {"collect.log", *agents}
    for name, lines in traced.logs.items():
        for line in lines:
            said = json.loads(line)
            assert list(said)[:5] == ["time", "level", "logger", "process", "event"]
            assert said["process"] == name.removesuffix(".log")
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said["time"])
    assert all(traced.logs[name] for name in agents)
