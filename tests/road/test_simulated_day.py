"""A simulated school day through the processes that `aupstream run` starts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.road.scene import WITHIN_S, Scene, backtest, simulated
from tests.road.stored import Stored, assert_conserved, assert_same

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return simulated(tmp_path_factory.mktemp("day"), seed=1, lines=20_000)


@pytest.fixture(scope="module")
def stored(scene: Scene) -> Iterator[Stored]:
    with scene.running() as system:
        system.wait_until_drained(within_s=WITHIN_S)
        answers = Stored(system)
        yield answers
        answers.close()


def test_every_expected_violation_is_found_and_none_besides(scene: Scene, stored: Stored) -> None:
    expected = {
        (e["rule_id"], json.dumps(e["group_key"], sort_keys=True), e["status"]) for e in scene.truth["expected"]
    }
    assert len({rule for rule, _, _ in expected}) == 5
    assert {(rule, _about(key), status) for rule, key, status in stored.found()} == expected


def _about(group_key: str) -> str:
    """A key without the place of a login, which the truth does not tell."""
    plain: dict[str, str] = json.loads(group_key)
    return json.dumps({name: value for name, value in plain.items() if name != "login_source"}, sort_keys=True)


def test_every_line_of_every_log_is_accounted_for_in_clickhouse(scene: Scene, stored: Stored) -> None:
    files = {str(s.name): Path(s.path) for s in scene.config.sources}
    lines = {name: path.read_bytes().count(b"\n") for name, path in files.items()}
    assert sum(lines.values()) == 20_000
    assert_conserved(stored, lines)


def test_the_violations_are_those_of_a_backtest_in_every_field(scene: Scene, stored: Stored) -> None:
    assert_same(stored, backtest(scene.config))
