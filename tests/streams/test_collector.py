"""Collectors: rows, ledger, marks and positions; stopped anywhere, the outcome is that of never stopping."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.errors import ConfigError, InputError, StateError
from schemas.headers import FOREVER
from schemas.ids import event_ids, generation_of, line_hash, partition_of
from schemas.kinds import DEAD_LETTERS, EventKind
from streams.memory import MemorySink
from streams.positions import PositionFile
from streams.road import frames
from streams.rows import hash_column, id_column, places
from tests.streams.small import SETTINGS, World, assert_conserved, collector, config, run_to_end

JUMP_S = 1_000.0
tiny_lines = st.lists(
    st.one_of(
        st.integers(0, 60).map(lambda t: b"%d ev" % t),
        st.integers(0, 900).map(lambda t: b"%d rep 3" % t),
        st.sampled_from([b"# note", b"rubbish", b"", b"50000 ev", b"50001 ev", b"99999999999 ev"]),
    ),
    min_size=1,
    max_size=60,
)
joining_lines = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from("abcde"), st.sampled_from(["more", "more", "end"])).map(
        lambda t: f"{t[0]} {t[1]} {t[2]}".encode()
    ),
    min_size=1,
    max_size=60,
)


def write(folder: Path, lines: list[bytes]) -> Path:
    path = folder / "log"
    path.write_bytes(b"first 0\n" + b"".join(line + b"\n" for line in lines))
    return path


def with_kills(path: Path, folder: Path, kills: list[int], changes: Mapping[str, object]) -> tuple[World, int]:
    """Read a log, dropping the collector and everything it had not saved after so many steps, again and again."""
    made, world, runs = config(path, **changes), World(), 0
    state = folder / "state"
    while True:
        sink = MemorySink(3)
        running = collector(made, sink, state)
        steps = kills[runs] if runs < len(kills) else 1_000
        for step in range(steps):
            running.step(step)
            world.take(sink.take())
            if running.done:
                return world, runs
        running.close()
        runs += 1


@settings(max_examples=60, deadline=None)
@given(tiny_lines, st.lists(st.integers(1, 9), max_size=6), st.sampled_from([3, 5_000]))
def test_killed_at_any_step_it_gives_the_same_rows_stamps_and_ledger(
    lines: list[bytes], kills: list[int], batch_rows: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name), lines)
        changes = {"jump_max_s": JUMP_S, "batch_rows": batch_rows}
        whole = run_to_end(config(path, **changes))
        broken, _ = with_kills(path, Path(name), kills, changes)
        assert_same(broken, whole, len(lines) + 1)


@settings(max_examples=60, deadline=None)
@given(joining_lines, st.lists(st.integers(1, 9), max_size=6))
def test_open_joins_survive_a_kill_and_no_line_is_in_two_events(lines: list[bytes], kills: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name), lines)
        changes = {"type": "joining", "jump_max_s": 1_000_000.0}
        whole = run_to_end(config(path, **changes))
        broken, _ = with_kills(path, Path(name), kills, changes)
        assert_same(broken, whole, len(lines) + 1)
        events = broken.events(EventKind.MAIL)
        if not events.is_empty():
            joined = events["log_offsets"].explode().drop_nulls().to_list()
            assert len(joined) == len(set(joined))


def assert_same(broken: World, whole: World, lines: int) -> None:
    for topic in (EventKind.LOGIN.topic, EventKind.MAIL.topic, DEAD_LETTERS):
        assert_frame_equal(broken.table(topic), whole.table(topic))
    assert broken.ledger == whole.ledger
    assert_conserved(broken, lines)
    assert all(record["final"] for record in broken.ledger.values())


@settings(max_examples=30, deadline=None)
@given(tiny_lines, st.integers(1, 11), st.sampled_from([1, 37, 5_000]))
def test_portions_and_batch_sizes_change_no_row(lines: list[bytes], portion: int, batch_rows: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name), lines)
        whole = run_to_end(config(path, jump_max_s=JUMP_S))
        cut = dataclasses.replace(SETTINGS, read_lines=portion)
        other = run_to_end(config(path, jump_max_s=JUMP_S, batch_rows=batch_rows), settings=cut)
        assert_same(other, whole, len(lines) + 1)


def test_a_row_carries_its_place_its_hash_and_the_id_that_they_make(tmp_path: Path) -> None:
    path = write(tmp_path, [b"5 ev", b"6 rep 2"])
    row = run_to_end(config(path)).events(EventKind.LOGIN).row(1, named=True)
    generation = generation_of(b"first 0")
    assert (row["log_generation"], row["log_offset"], row["log_sub"]) == (generation, 13, 0)
    assert row["log_hash"] == line_hash(b"6 rep 2")
    assert row["event_id"] == event_ids("tiny-log", generation, np.array([13]), np.array([0]))[0]


def test_columns_of_ids_and_hashes_are_those_of_the_contract() -> None:
    offsets, subs = np.array([0, 5, 2**48 - 1]), np.array([0, 65_535, 7])
    assert id_column("s", "0" * 16, offsets, subs).to_list() == event_ids("s", "0" * 16, offsets, subs)
    assert hash_column([b"", b"\xff\x00"]).to_list() == [line_hash(b""), line_hash(b"\xff\x00")]


def test_more_events_of_one_line_than_an_id_can_count_still_have_places_of_their_own() -> None:
    subs = np.arange(200_000)
    offsets, subs = places(np.full(200_000, 1_000), subs)
    assert len(set(zip(offsets.tolist(), subs.tolist(), strict=True))) == 200_000
    assert offsets.max() == 1_003


def test_a_block_goes_whole_to_one_partition_and_a_batch_never_crosses_one(tmp_path: Path) -> None:
    path = write(tmp_path, [b"%d ev" % t for t in range(200)])
    sink, seen = MemorySink(3), set()
    running = collector(config(path), sink)
    while not running.done:
        running.step(0)
        for message in sink.take():
            headers = message.headers
            if headers is not None and headers.kind == "batch":
                assert headers.first is not None
                assert headers.last is not None
                assert headers.first.offset // 64 == headers.last.offset // 64 == headers.block
                assert message.partition == partition_of("tiny-log", headers.block, 3)
                assert headers.count <= 3
                seen.add(message.partition)
    assert seen == {0, 1, 2}


def test_at_the_end_every_partition_is_told_that_nothing_more_comes(tmp_path: Path) -> None:
    world = run_to_end(config(write(tmp_path, [b"5 ev"])))
    assert {p: told[-1] for p, told in world.progress.items()} == {0: FOREVER, 1: FOREVER, 2: FOREVER}


def test_a_log_read_to_its_end_is_not_read_again_but_its_end_is_told_again(tmp_path: Path) -> None:
    path, state = write(tmp_path, [b"5 ev"]), tmp_path / "state"
    for expected in (1, 0):
        sink = MemorySink(2)
        running = collector(config(path), sink, state)
        while not running.done:
            running.step(0)
        messages = sink.take()
        assert sum(m.headers.count for m in messages if m.headers and m.topic != DEAD_LETTERS) == expected
        assert [m.headers.progress for m in messages if m.headers and m.headers.kind == "marker"] == [FOREVER] * 2


def test_the_ledgers_hash_is_that_of_the_lines(tmp_path: Path) -> None:
    world = run_to_end(config(write(tmp_path, [b"5 ev", b"# x"])))
    (record,) = world.ledger.values()
    assert record["sha256"] == sha256(b"first 0\n5 ev\n# x").hexdigest()
    assert (record["lines"], record["in_events"], record["dead_letters"]) == (3, 1, 1)
    assert record["ignored"] == {"comment": 1}


def test_a_line_on_which_the_normaliser_fails_is_a_dead_letter_and_hurts_no_other(tmp_path: Path) -> None:
    world = run_to_end(config(write(tmp_path, [b"5 ev", b"boom", b"6 ev"])))
    assert world.events(EventKind.LOGIN).height == 2
    assert "normaliser_error" in world.table(DEAD_LETTERS)["reason"].to_list()
    assert_conserved(world, 4)


def test_a_line_that_is_too_long_is_kept_short_with_its_true_length(tmp_path: Path) -> None:
    world = run_to_end(config(write(tmp_path, [b"x" * 5_000, b"6 ev"]), max_line_bytes=100))
    letter = world.table(DEAD_LETTERS).filter(pl.col("raw_length") > 100).row(0, named=True)
    assert (letter["raw_length"], len(letter["raw"])) == (5_000, 100)
    assert world.events(EventKind.LOGIN)["log_offset"].to_list() == [8 + 5_001]


# positions


def test_a_damaged_position_says_what_to_do(tmp_path: Path) -> None:
    path, state = write(tmp_path, [b"5 ev"]), tmp_path / "state"
    collector(config(path), MemorySink(2), state)
    file = PositionFile(state, "tiny-log").path
    file.write_bytes(file.read_bytes().replace(b"tiny", b"tinY", 1))
    with pytest.raises(StateError, match="damaged") as caught:
        collector(config(path), MemorySink(2), state)
    assert str(file) in str(caught.value)
    assert "move the file away" in caught.value.hint


def test_partitions_may_grow_at_any_time_and_shrink_after_a_clean_stop_only(tmp_path: Path) -> None:
    path, state = write(tmp_path, [b"%d ev" % t for t in range(50)]), tmp_path / "state"
    running = collector(config(path), MemorySink(2), state)
    running.step(0)
    with pytest.raises(StateError, match="did not stop cleanly"):
        collector(config(path), MemorySink(1), state)
    grown = MemorySink(3)
    again = collector(config(path), grown, state)
    again.step(0)
    again.step(10_000_000)
    sent = grown.take()
    assert {m.partition for m in sent if m.headers and m.headers.kind == "batch"} <= {0, 1}, "where they went before"
    assert {m.partition for m in sent if m.headers and m.headers.kind == "marker"} == {0, 1, 2}
    again = collector(config(path), MemorySink(2), state)
    again.step(0)
    again.stop()
    for _ in range(3):
        again.step(0)
    assert again.done
    collector(config(path), MemorySink(1), state)


def test_a_state_that_cannot_be_saved_stops_reading_and_goes_on_by_itself(tmp_path: Path) -> None:
    path, state = write(tmp_path, [b"%d ev" % t for t in range(50)]), tmp_path / "state"
    running = collector(config(path), MemorySink(2), state)
    away = state.rename(tmp_path / "away")
    state.write_text("a file where the folder was")
    for now in range(6):
        running.step(now)
    assert isinstance(running.problem, StateError)
    lines = running.lines
    running.step(9)
    assert running.lines == lines
    state.unlink()
    away.rename(state)
    for now in range(100):
        running.step(now)
    assert running.done
    assert running.problem is None


def test_nothing_is_read_while_the_sink_has_no_room(tmp_path: Path) -> None:
    path = write(tmp_path, [b"%d ev" % t for t in range(500)])
    sink = MemorySink(2, room=1)
    running = collector(config(path), sink)
    for _ in range(50):
        running.step(0)
    assert running.lines <= 2 * SETTINGS.read_lines
    while not running.done:
        running.step(0)
        sink.take()
    assert running.lines == 501


def test_the_road_gives_every_row_of_several_logs(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(
        b"1700000000.000 5 10.1.2.3 TCP_MISS/200 10 GET http://x.example/ - HIER_NONE/- -\n" * 3
    )
    made = [config(tmp_path / "a", name=name, type="squid") for name in ("one", "two")]
    got = list(frames(made, now_us=0, today=SETTINGS.today))
    assert sum(frame.height for _, frame in got if frame is not None) == 6
    assert [h.source for h, _ in got if h.progress == FOREVER] == ["one", "two"]


def test_a_log_that_is_missing_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        run_to_end(config(tmp_path / "absent"))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"mode": "tail"}, "mode"),
        ({"batch_rows": 0}, "batch_rows"),
        ({"encoding": "utf-32"}, "encoding"),
        ({"name": ""}, "?"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(Path("x"), **changes)
    assert key in caught.value.where


def test_a_log_in_another_character_set_is_read(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes("5 ev caf\u00e9\n".encode("latin-1"))
    world = run_to_end(config(tmp_path / "log", encoding="latin-1"))
    assert world.events(EventKind.LOGIN)["log_hash"].to_list() == [line_hash("5 ev caf\u00e9".encode("latin-1"))]
