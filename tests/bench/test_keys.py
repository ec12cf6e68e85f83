from __future__ import annotations

from pathlib import Path

import pytest

from infra.bench import KEYS, Options, run
from schemas.errors import ConfigError

pytestmark = pytest.mark.timeout(900)  # every format, both pipelines and two loads, one after the other


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("bench")
    return run(Options(lines=2_000, runs=1, rounds=1, latency_s=1.0, folder=folder))


def test_every_documented_key_is_there_and_no_other(figures: dict[str, object]) -> None:
    assert figures.keys() == KEYS.keys()


def test_the_whole_road_gives_what_the_engine_without_servers_gives(figures: dict[str, object]) -> None:
    assert figures["whole_road_exact"] is True


def test_the_naive_pipeline_is_no_straw_man(figures: dict[str, int]) -> None:
    assert 0.8 * figures["naive_expected"] <= figures["naive_violations"] <= 1.2 * figures["naive_expected"]


def test_every_violation_of_the_latency_run_came(figures: dict[str, object]) -> None:
    assert figures["latency_missing"] == 0
    assert figures["latency_samples"]


def test_every_process_of_the_road_is_weighed(figures: dict[str, dict[str, float]]) -> None:
    agents = {f"{agent}-0" for agent in ("identify", "detect", "correlate", "persist", "notify")}
    assert figures["peak_rss_mb"].keys() == agents | {"clickhouse", "kafka", "collect"}


def test_options_out_of_range_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="10 lines"):
        run(Options(lines=10, folder=tmp_path))
