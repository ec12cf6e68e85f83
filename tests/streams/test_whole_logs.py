"""A simulated district's logs through the real normalisers: every line accounted for, and no order matters."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from infra.config import load
from infra.simulate import simulate
from schemas.kinds import LEDGER
from streams.config import SourceConfig
from streams.road import deliveries

NOW_US = 4_000_000_000_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("district")
    simulate(5, 3_000, made)
    return made


@pytest.fixture(scope="module")
def sources(folder: Path) -> list[SourceConfig]:
    return load(folder / "aupstream.toml").collectors()


def outcome(sources: list[SourceConfig]) -> tuple[dict[str, pl.DataFrame], dict[str, Counter[str]]]:
    """Rows of every source and schema, and the sums of its ledger."""
    rows: dict[str, list[pl.DataFrame]] = {}
    ledger: dict[tuple[str, str, int], dict[str, int | dict[str, int]]] = {}
    for got in deliveries(sources, now_us=NOW_US, today=date(2026, 1, 1)):
        if got.frame is not None and got.headers is not None:
            rows.setdefault(f"{got.headers.source} {got.headers.schema}", []).append(got.frame)
        elif got.message.topic == LEDGER:
            record = json.loads(got.message.value)
            ledger[record["source"], record["generation"], record["chunk"]] = record
    sums: dict[str, Counter[str]] = {}
    for (source, _, _), record in ledger.items():
        counts = {k: v for k, v in record.items() if isinstance(v, int)}
        ignored = record["ignored"]
        assert isinstance(ignored, dict)
        sums.setdefault(source, Counter()).update({**counts, "ignored": sum(ignored.values())})
    return {name: pl.concat(frames) for name, frames in rows.items()}, sums


def test_every_line_of_every_log_is_accounted_for(folder: Path, sources: list[SourceConfig]) -> None:
    truth = json.loads((folder / "truth.json").read_text())
    _, sums = outcome(sources)
    for source in sources:
        of = sums[source.name]
        assert of["lines"] == truth["lines"][Path(source.path).name]
        assert of["lines"] == of["in_events"] + of["dead_letters"] + of["ignored"] + of["open_joins"]
        assert of["open_joins"] == 0


@pytest.mark.parametrize("batch_rows", [37, 1_000])
def test_batch_sizes_and_the_order_of_sources_change_no_row(sources: list[SourceConfig], batch_rows: int) -> None:
    rows, sums = outcome(sources)
    other = [dataclasses.replace(s, batch_rows=batch_rows, block_bytes=10_000) for s in reversed(sources)]
    again, again_sums = outcome(other)
    assert again_sums == sums
    assert again.keys() == rows.keys()
    for name, frame in rows.items():
        assert_frame_equal(again[name], frame)
