"""A source that fails is left out, and tried again where it is followed; the others go on."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from infra.run.collect import _Sources
from schemas.errors import AupstreamError, StateError
from schemas.kinds import DEAD_LETTERS, EventKind
from streams.collector import Collector
from streams.config import SourceConfig
from streams.intake import JoinFaultError
from streams.memory import MemorySink
from streams.normalisers.abstract import LineChunk, Normalised
from streams.positions import PositionFile
from streams.runner import Reader, run
from streams.sources.abstract import Source, SourceChunk
from streams.sources.make import make_source
from tests.streams.small import SETTINGS, JoiningNormaliser, TinyNormaliser, World, assert_conserved, config


class _Broken(Source):
    """A source that fails at every read."""

    def seek(self, generation: str, offset: int) -> bool:
        return True

    def read(self, max_lines: int, now_us: int) -> SourceChunk | None:
        raise StateError("it cannot be read")

    @property
    def ended(self) -> bool:
        return False

    def close(self) -> None:
        pass


def test_a_followed_source_that_failed_is_tried_again_and_ever_more_seldom(tmp_path: Path) -> None:
    def made(mode: str) -> Collector:
        return Collector(config(tmp_path / "x", type="openssh", mode=mode), _Broken(), MemorySink(1), SETTINGS)

    now, failed, times, stop = [0], list[int](), list[int](), threading.Event()

    def clock_of_test() -> int:
        now[0] += 1_000_000
        if len(failed) == 4:
            stop.set()
        return now[0]

    def note(_: Reader, error: AupstreamError) -> None:
        failed.append(now[0])

    def remade(old: Reader) -> Reader:
        times.append(now[0])
        return made("follow")

    assert not run([made("follow")], stop, clock_of_test, failed=note, remake=remade)
    waits = [later - before for before, later in zip(failed, times, strict=False)]
    assert [round(w / 1e6) for w in waits] == [60, 120, 300]
    failed.clear()
    stop.clear()
    assert not run([made("once")], stop, clock_of_test, failed=note, remake=remade)  # it is not tried again
    assert len(failed) == 1


def test_a_damaged_position_holds_up_its_own_source_alone_until_it_is_put_right(tmp_path: Path) -> None:
    state, sink, stop = tmp_path / "state", MemorySink(1), threading.Event()
    wanted = [config(tmp_path / name, name=name, mode="follow") for name in ("bad", "good")]

    def made(one: SourceConfig, careful: int) -> Collector:
        positions = PositionFile(state, one.name)
        return Collector(one, make_source(one), sink, SETTINGS, positions=positions, make=TinyNormaliser)

    for one in wanted:
        Path(one.path).write_bytes(b"100 ev\n")
        made(one, 0).close()
    place = PositionFile(state, "bad").path
    whole = place.read_bytes()
    place.write_bytes(whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
    sources, now, seen = _Sources(made, wanted), [0], list[str]()

    def clock_of_test() -> int:
        now[0] += 1_000_000
        if now[0] == 20_000_000:
            seen[:] = [sources.problem(c) for c in sources.collectors]
            assert sources.collectors[1].newest is not None
            place.write_bytes(whole)
        if now[0] == 100_000_000:
            stop.set()
        return now[0]

    run(sources.collectors, stop, clock_of_test, failed=sources.failed, remake=sources.remade)
    assert ("is damaged" in seen[0], seen[1]) == (True, "")
    read = [PositionFile(state, one.name).load() for one in wanted]
    assert [kept["intake"]["lines"] for kept in read if kept is not None] == [1, 1]
    assert sources.troubled() == []


class _Faulty(JoiningNormaliser):
    """Fails on a line, in the middle of a chunk that it has taken half of."""

    def normalise(self, chunk: LineChunk) -> Normalised:
        bad = [i for i, line in enumerate(chunk.lines) if line.startswith(b"boom")]
        if bad:
            super().normalise(LineChunk(chunk.lines[: bad[0]], chunk.offsets[: bad[0]]))
            raise RuntimeError("a fault of the normaliser")
        return super().normalise(chunk)


def test_a_line_that_a_joining_normaliser_fails_on_is_a_dead_letter_and_the_others_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"1 a more\n2 b more\n3 a end\nboom\n4 b end\n5 c more\n6 c end\nboom again\n7 d end\n")
    sink, world, stop = MemorySink(2), World(), threading.Event()
    failed: list[AupstreamError] = []

    def made(careful: int = 0) -> Collector:
        source = config(path, type="joining")
        positions = PositionFile(tmp_path / "positions", source.name)
        given = {"positions": positions, "make": _Faulty, "careful": careful}
        return Collector(source, make_source(source), sink, SETTINGS, **given)  # type: ignore[arg-type]

    def note(_: Reader, error: AupstreamError) -> None:
        failed.append(error)

    def now() -> int:
        world.take(sink.take())
        return time.time_ns() // 1_000

    assert run([made()], stop, now, failed=note, remake=lambda _: made(5))
    assert 1 <= len(failed) <= 2
    assert all(isinstance(error, JoinFaultError) for error in failed)
    world.take(sink.take())
    assert_conserved(world, 9)
    events = world.events(EventKind.MAIL)
    assert sorted(events["email_local_id"]) == ["a", "b", "c", "d"]
    letters = world.table(DEAD_LETTERS)
    assert [(raw, reason) for raw, reason in zip(letters["raw"], letters["reason"], strict=True)] == [
        (b"boom", "normaliser_error"),
        (b"boom again", "normaliser_error"),
    ]
