"""A simulated district's day as stamped event frames, small enough to be run many times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import polars as pl

from agents.build import district_of, inventory_of, judge_of
from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine.episodes import Judge
from infra.config import load
from infra.simulate import simulate
from schemas.kinds import EventKind
from schemas.registry import column_names, polars_schema
from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.registry import make


@dataclass(frozen=True)
class Day:
    """Frames by source name, and what they are judged against."""

    frames: dict[str, tuple[EventKind, pl.DataFrame]]
    district: District
    inventory: Inventory
    judge: Judge


@cache
def day(seed: int, lines: int) -> Day:
    """Simulate and normalise; proxy logs are left out, no rule reads them."""
    with TemporaryDirectory() as folder:
        simulate(seed, lines, Path(folder))
        config = load(Path(folder) / "aupstream.toml")
        frames = {}
        for source in config.sources:
            if source.type != "squid":
                zone = ZoneInfo(source.timezone or config.district.timezone)
                frames[source.name or source.type] = _frame(source.type, Path(source.path), zone, source.year)
        district = district_of(config.district)
        return Day(frames, district, inventory_of(config.district), judge_of(config.district, district))


def _frame(type_name: str, path: Path, zone: ZoneInfo, year: int | None) -> tuple[EventKind, pl.DataFrame]:
    normaliser = make(type_name, NormaliserSettings(timezone=zone, year=year, first_seen=date(2026, 1, 1)))
    lines = path.read_bytes().split(b"\n")[:-1]
    parts = [normaliser.normalise(LineChunk(lines, range(len(lines)))).events]
    rest = normaliser.finish()
    parts += [] if rest is None else [rest.events]
    frame = pl.concat(parts).with_columns(
        event_id=pl.lit(""), log_source=pl.lit(""), log_generation=pl.lit(""), log_offset=pl.lit(0, pl.Int64),
        log_hash=pl.lit("h"), late=pl.lit(value=False), time_suspect=pl.lit(value=False),
    )  # fmt: skip
    name = normaliser.kind.value
    types = polars_schema(name)
    return normaliser.kind, frame.select(pl.col(c).cast(types[c]) for c in column_names(name))
