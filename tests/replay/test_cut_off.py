"""A damaged or cut file is no end: reading stops there, and goes on when the whole file comes under whatever name."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

from infra.replay.beginnings import TIMELINE, stopped
from infra.replay.sending import to_the_end
from schemas.kinds import EventKind
from streams.collector import Collector
from streams.memory import MemorySink
from streams.positions import PositionFile
from streams.sources.make import make_source
from tests.streams.small import SETTINGS, JoiningNormaliser, World, assert_conserved, config, run_to_end

LINES = 4_000


def _log(folder: Path) -> Path:
    path = folder / "log"
    words = [f"{n} {n // 3 * 3 % 97}{n * 7919 % 1009} more\n" for n in range(LINES - 1)]
    path.write_text("".join(words) + f"{LINES} last end\n")
    return path


def _read(path: Path, state: Path, world: World, timeline: str) -> Collector:
    wanted = config(path, type="joining", timeline=timeline)
    source, sink = make_source(wanted, damage_ends=False), MemorySink(1)
    positions = PositionFile(state, wanted.name, timeline)
    collector = Collector(wanted, source, sink, SETTINGS, positions=positions, make=JoiningNormaliser)
    to_the_end(collector, source)
    collector.close()
    world.take(sink.take())
    return collector


def test_half_a_file_is_read_on_when_the_whole_one_comes_under_another_name(tmp_path: Path) -> None:
    log, state, world = _log(tmp_path), tmp_path / "state", World()
    whole, half = tmp_path / "whole.gz", tmp_path / "half.gz"
    whole.write_bytes(gzip.compress(log.read_bytes()))
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    for _ in range(2):  # the same half again brings nothing, and spoils nothing
        first = _read(half, state, world, TIMELINE + "1")
        assert f"byte {half.stat().st_size}" in str(first.told)
        assert not first.finished
        assert 0 < first.lines < LINES
    asked = config(whole, type="joining")
    assert stopped(state, asked) == TIMELINE + "1"
    assert stopped(state, replace(asked, name="another")) == stopped(state, config(log, type="tiny")) == ""
    assert _read(whole, state, world, TIMELINE + "1").finished
    assert stopped(state, asked) == ""
    alone = run_to_end(config(log, type="joining"), partitions=1)
    kind = EventKind.MAIL
    assert world.events(kind)["event_id"].to_list() == alone.events(kind)["event_id"].to_list()
    assert world.events(kind)["log_offsets"].to_list() == alone.events(kind)["log_offsets"].to_list()
    assert_conserved(world, LINES)
