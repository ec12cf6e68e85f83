"""A damaged or lost state is built anew from its input; where that is gone too, what may lack something says so."""

from __future__ import annotations

import random
import zlib
from typing import Any

import msgspec
import polars as pl
import pytest

from agents.delivery.batches import EventBatches
from agents.delivery.feed import Context
from agents.delivery.link import FACTS_LANE, NOTHING, Link, RowMark
from agents.delivery.owning import owned
from agents.delivery.snapshots import LAYOUT, collect
from agents.delivery.stage import Message
from agents.engine.progress import Told
from schemas.codec import encode
from schemas.errors import NewerReleaseError
from schemas.headers import FOREVER, VERSION, BatchHeaders
from schemas.kinds import DETECTIONS, IDENTITY, EventKind
from schemas.registry import empty, polars_schema
from tests.agents.collecting import batches, sourced
from tests.agents.simulated import day
from tests.agents.test_checkpoints import HERE, RULE_SET, TOPIC, Owner, Versions, _row, _stage, _take

Log = list[Message]


def _message(offset: int, rows: list[dict[str, Any]], follows: RowMark, progress: int, newest: int) -> Message:
    frame = pl.DataFrame(
        [row | {"row": i} for i, row in enumerate(rows)], schema=polars_schema("detection") | {"timestamp": pl.Int64}
    )
    value = encode("detection", frame.cast({"timestamp": pl.Datetime("us", "UTC")})) if rows else b""
    last = RowMark(offset, len(rows) - 1) if rows else follows
    told = [Told("s", "", progress, 0, newest)]
    runs = [(offset, len(rows))] * bool(rows)
    link = Link(TOPIC, 0, "immediate", follows, last, told, 0, len(rows), zlib.crc32(value), runs)
    return Message(DETECTIONS, 0, offset, value, link.to_kafka())


def _log(seed: int, length: int) -> Log:
    """Rows at or above the watermark, which moves on far enough for windows to be whole again; then the end."""
    rng = random.Random(seed)
    rules = [rule.id for rule in RULE_SET.rules]
    out: Log = []
    n, watermark, newest, follows = 0, 0, 0, NOTHING
    for offset in range(length):
        rows = []
        for _ in range(rng.choice([0, 1, 4, 9])):
            t = watermark + rng.randint(0, 60)
            rows.append(_row(rng, rules, n, t) | {"late": False})
            newest, n = max(newest, t), n + 1
        watermark = max(watermark, newest - rng.choice([0, 20, 60]))
        out.append(_message(offset, rows, follows, watermark if offset < length - 1 else FOREVER, newest))
        follows = RowMark(offset, len(rows) - 1) if rows else follows
    return out


def _owner(log: Log, seed: int) -> tuple[Owner, Versions]:
    """An owner that has read half of a log and saved it, and what it said."""
    owner, found = Owner(random.Random(seed)), Versions()
    for message in log[: len(log) // 2]:
        _take(found, owner.stage.handle(message))
        owner.checkpoint(1.0)
    return owner, found


def _all(log: Log) -> Versions:
    stage, found = _stage(), Versions()
    for message in log:
        _take(found, stage.handle(message))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_state_is_named_and_built_anew_with_the_same_outcome(seed: int) -> None:
    log = _log(seed, 24)
    owner, found = _owner(log, seed)
    rng = random.Random(seed)
    whole = next(collect(owner.topic, [HERE])[HERE].whole())
    victim = rng.choice(sorted(tag for tag in whole if not tag.startswith("meta.")))
    mark = f"/{victim}#".encode()
    damaged = [(key, rng.randbytes(40) if value and mark in (key or b"") else value) for key, value in owner.topic]
    mine = owned(_stage, collect(damaged, [HERE])[HERE])
    assert len(mine.faults) == 1
    assert mine.stage.applied == -1
    for message in log:
        _take(found, mine.stage.handle(message))
    assert found == _all(log)


def test_what_an_owner_before_saved_is_used_where_the_newest_cannot_be() -> None:
    log = _log(3, 24)
    owner, found = _owner(log, 3)
    forged = b"%s/%d/%d/meta#0/1" % (HERE.topic.encode(), HERE.partition, 999_999)
    mine = owned(_stage, collect([*owner.topic, (forged, b"rubbish")], [HERE])[HERE])
    assert len(mine.faults) == 1
    assert (mine.stage.applied, mine.epoch) == (owner.stage.applied, 1_000_000)
    for message in log[mine.stage.applied + 1 :]:
        _take(found, mine.stage.handle(message))
    assert found == _all(log)


def test_records_that_nobody_of_ours_wrote_are_no_state() -> None:
    log = _log(3, 24)
    owner, _ = _owner(log, 3)
    chance = random.Random(1)
    place = f"{HERE.topic}/{HERE.partition}".encode()
    strange = [b"", b"\xff\xfe", place, place + b"/x/meta#0/1", place + b"/1/meta", place + b"/1/meta#a/b", b"a/b/c/d"]
    noise = [(key, chance.randbytes(30)) for key in strange]
    mine = owned(_stage, collect([*noise, *owner.topic, *noise], [HERE])[HERE])
    assert mine.faults == ()
    assert mine.stage.applied == owner.stage.applied


def test_what_a_newer_release_saved_is_refused_with_a_word_and_not_thrown_away() -> None:
    log = _log(3, 24)
    owner, _ = _owner(log, 3)
    key = f"{HERE.text}/7/meta#0/1".encode()
    for plain, said in (
        ({"v": LAYOUT + 1}, f"layout {LAYOUT + 1}, this release knows {LAYOUT}"),
        ({"v": LAYOUT, "applied": 3, "buckets": 99}, "another layout"),
    ):
        newer = (key, msgspec.msgpack.encode(plain))
        with pytest.raises(NewerReleaseError, match=f"{said}.*run the release that wrote it"):
            owned(_stage, collect([*owner.topic, newer], [HERE])[HERE])


def test_a_batch_of_a_newer_release_ends_the_agent_with_a_word_and_is_left_for_its_successor() -> None:
    headers = BatchHeaders("marker", "dhcp", "s", version=VERSION + 1)
    message = Message(EventKind.DHCP.topic, 0, 7, b"", headers.to_kafka())
    with pytest.raises(NewerReleaseError, match=r"aup.events.dhcp/0/7.*update this worker"):
        EventBatches().read(message)


def _final(versions: Versions) -> dict[str, dict[str, Any]]:
    return {name: record for (name, _), record in sorted(versions.items())}


@pytest.mark.parametrize("seed", range(12))
def test_what_may_rest_on_lost_messages_is_marked_and_all_else_is_as_it_was(seed: int) -> None:
    log = _log(seed, 160)
    whole, found = _final(_all(log)), Versions()
    stage = _stage()
    stage.truncated()
    cut = 20 + seed
    for n, message in enumerate(log[cut:]):
        _take(found, stage.handle(message))
        if n == 30:  # what is marked is remembered over a restart
            saved, stage = stage.snapshot(), _stage()
            stage.restore(saved)
    assert stage.figures()["refused"] == 0
    sure = {name: record for name, record in _final(found).items() if not record["incomplete"]}
    assert sure
    assert sure == {name: whole.get(name) for name in sure}


def test_after_lost_messages_the_first_batch_of_each_source_is_taken_and_a_hole_later_is_refused() -> None:
    kind, frame = day(seed=1, lines=20_000).frames["dhcp"]
    sent = [o for o in batches(sourced("dhcp", kind, frame.head(60)), 10, 1, 0) if o.value]
    messages = [Message(o.topic, 0, n, o.value, tuple(o.headers), o.key) for n, o in enumerate(sent)]
    reading = EventBatches()
    assert reading.read(messages[2]) is None
    reading.reader.truncated()
    reading = EventBatches.load(reading.save())
    assert reading.read(messages[2]) is not None
    assert reading.read(messages[4]) is None
    assert reading.read(messages[3]) is not None
    assert reading.read(messages[4]) is not None


def _facts(offset: int, follows: RowMark) -> Message:
    value = encode("identity", empty("identity"))
    last = RowMark(follows.offset + 1, 0)
    link = Link(EventKind.DHCP.topic, 0, FACTS_LANE, follows, last, [], 0, 1, zlib.crc32(value))
    return Message(IDENTITY, 0, offset, value, link.to_kafka())


def test_facts_whose_beginning_went_by_retention_are_read_from_where_they_begin() -> None:
    context = Context(1)
    context.take(_facts(700, RowMark(41, 3)))
    assert (context.refused, context.marks[EventKind.DHCP.topic, 0]) == (0, RowMark(42, 0))
    context.take(_facts(701, RowMark(50, 0)))
    assert context.refused == 1
    context.take(_facts(702, RowMark(42, 0)))
    assert context.marks[EventKind.DHCP.topic, 0] == RowMark(43, 0)
