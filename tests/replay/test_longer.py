"""A longer copy of a log that was read to its end is read on from there, once; another log is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.replay.beginnings import TIMELINE, stopped
from infra.replay.longer import ended, going_on, has_more, keep
from infra.replay.sending import to_the_end
from schemas.ids import generation_of
from schemas.kinds import EventKind
from streams.collector import Collector
from streams.config import SourceConfig
from streams.memory import MemorySink
from streams.positions import PositionFile
from streams.sources.make import make_source
from tests.streams.small import SETTINGS, TinyNormaliser, World, config, run_to_end

_GENERATION = generation_of(b"1000 ev")


def _write(path: Path, count: int, *, changed: int = -1) -> SourceConfig:
    path.write_text("".join(f"{n + 1_000} {'EV' if n == changed else 'ev'}\n" for n in range(count)))
    return config(path)


def _read(path: Path, state: Path, world: World, timeline: str) -> None:
    wanted = config(path, timeline=timeline)
    source, sink = make_source(wanted, damage_ends=False), MemorySink(2)
    positions = PositionFile(state, wanted.name, timeline)
    collector = Collector(wanted, source, sink, SETTINGS, positions=positions, make=TinyNormaliser)
    to_the_end(collector, source)
    collector.close()
    for record in sink.take():
        world.take([record])
    keep(state, wanted, joins=False)


def test_a_longer_copy_is_read_on_from_where_reading_ended_under_any_name(tmp_path: Path) -> None:
    state, worlds = tmp_path / "state", [World() for _ in range(3)]
    _write(tmp_path / "a", 40)
    _read(tmp_path / "a", state, worlds[0], f"{TIMELINE}0")
    for number, count in ((1, 70), (2, 90)):
        longer = _write(tmp_path / f"b{number}", count)
        assert stopped(state, longer) == ""
        before = ended(state, longer, _GENERATION)[0]
        assert has_more(longer, before)
        timeline = f"{TIMELINE}{number}"
        PositionFile(state, longer.name, timeline).save(going_on(before, timeline))
        assert stopped(state, longer) == timeline
        _read(tmp_path / f"b{number}", state, worlds[number], timeline)
        assert not list(state.glob("*.json"))
    alone = run_to_end(_write(tmp_path / "all", 90)).events(EventKind.LOGIN)["event_id"].to_list()
    parts = [w.events(EventKind.LOGIN)["event_id"].to_list() for w in worlds]
    assert [len(part) for part in parts] == [40, 30, 20]
    assert [event for part in parts for event in part] == alone
    assert [w.totals()["lines"] for w in worlds] == [40, 30, 20]
    assert all(min(r["first_offset"] for r in w.ledger.values()) == 0 for w in worlds)  # as the audit wants it


@pytest.mark.parametrize(("count", "changed"), [(40, -1), (30, -1), (70, 20), (70, 39)])
def test_a_file_that_has_no_more_or_is_no_copy_is_not_read_on(tmp_path: Path, count: int, changed: int) -> None:
    _write(tmp_path / "a", 40)
    _read(tmp_path / "a", tmp_path / "state", World(), f"{TIMELINE}0")
    other = _write(tmp_path / "b", count, changed=changed)
    [before] = ended(tmp_path / "state", other, _GENERATION)
    assert not has_more(other, before)
    assert ended(tmp_path / "state", other, "") == []


def test_of_lines_that_are_joined_nothing_is_kept(tmp_path: Path) -> None:
    source = _write(tmp_path / "a", 40)
    wanted = config(tmp_path / "a", timeline=f"{TIMELINE}0")
    PositionFile(tmp_path, wanted.name, wanted.timeline).save({"finished": True})
    keep(tmp_path, wanted, joins=True)
    assert ended(tmp_path, source, _GENERATION) == []
    assert not list(tmp_path.glob("*.json"))
