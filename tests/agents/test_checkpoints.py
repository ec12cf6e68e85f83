"""A checkpoint of correlate may be cut off after any record: what is restored is the checkpoint before, or itself."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.delivery import checkpoints, correlate, snapshots
from agents.delivery.correlate import CorrelateStage
from agents.delivery.feed import Context
from agents.delivery.link import NOTHING, Link, RowMark
from agents.delivery.owning import owned
from agents.delivery.rulebook import Always
from agents.delivery.snapshots import META, Place, Writer, collect, pack, unpack, with_meta
from agents.delivery.stage import Message, Output
from agents.engine import keystore, newvalues, waiting
from agents.engine.correlate import Bucket
from agents.engine.episodes import Judge
from agents.engine.progress import Told
from agents.rules.model import RuleSet
from schemas.codec import encode
from schemas.errors import StateError
from schemas.headers import FOREVER
from schemas.kinds import DETECTIONS, SOURCES, EventKind
from schemas.records import decode_record
from schemas.registry import polars_schema
from tests.engine.test_changes_of_a_bucket import KEYS, RULES
from tests.engine.test_own_kinds_against_the_oracle import DENVER

RULE_SET = RuleSet(tuple(RULES.values()), (), "v")
HERE = Place(DETECTIONS, 0)
TOPIC = EventKind.LOGIN.topic
Versions = dict[tuple[str, int], dict[str, Any]]


@pytest.fixture(autouse=True, scope="module")
def _small_limits() -> Iterator[None]:
    """Few buckets, short chains, records of some hundred bytes; keys and values at the scale of the examples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(correlate, "BUCKETS", 4)
        patch.setattr(correlate, "HOT_KEYS", 4)
        patch.setattr(checkpoints, "MAX_CHANGES", 2)
        patch.setattr(checkpoints, "MAX_WHOLE", 1)
        patch.setattr(snapshots, "MAX_PART", 300)
        patch.setattr(keystore, "SWEEP_SHIFT", 4)
        patch.setattr(waiting, "_SHIFT", 3)
        patch.setattr(newvalues, "MAX_KNOWN", 3)
        yield


def _row(rng: random.Random, rules: list[str], n: int, t: int) -> dict[str, Any]:
    value = "\x1f".join(rng.choice(["in", "out"]) for _ in range(3))
    return {
        "rule_id": rng.choice(rules), "rule_version": "v", "base": rng.choice("ab"), "group_key": rng.choice(KEYS),
        "timestamp": t, "event_id": f"{n:032x}", "late": rng.random() < 0.05, "values": [value, "1"], "number": 1.0,
        "facts": [], "log_source": "s", "log_generation": "0" * 16, "log_offset": n, "log_sub": 0,
        "log_hash": f"{n:032x}", "summary": "{}",
    }  # fmt: skip


def _message(
    offset: int, rows: list[dict[str, Any]], follows: RowMark, progress: int, sources: tuple[str, ...] = ("s",)
) -> Message:
    frame = pl.DataFrame(
        [row | {"row": i} for i, row in enumerate(rows)],
        schema=polars_schema("detection") | {"timestamp": pl.Int64},
    )  # fmt: skip
    value = encode("detection", frame.cast({"timestamp": pl.Datetime("us", "UTC")})) if rows else b""
    last = RowMark(offset, len(rows) - 1) if rows else follows
    told = [Told(source, "", progress, 0) for source in sources]
    link = Link(
        TOPIC, 0, "immediate", follows, last, told, 0, len(rows), zlib.crc32(value), [(offset, len(rows))] * bool(rows)
    )
    return Message(DETECTIONS, 0, offset, value, link.to_kafka())


def _log(rng: random.Random, length: int, behind: float = 0.0) -> list[Message]:
    """Messages of rows at or above the watermark, a share of them behind it, then the end of the source."""
    rules = rng.sample(sorted(RULES), rng.randint(1, len(RULES)))
    out: list[Message] = []
    n, watermark, follows = 0, 0, NOTHING
    for offset in range(length):
        times = [
            max(0, watermark + (rng.randint(-40, -1) if rng.random() < behind else rng.randint(0, 60)))
            for _ in range(rng.choice([0, 1, 4, 9]))
        ]
        rows = [_row(rng, rules, n + i, t) for i, t in enumerate(times)]
        n += len(rows)
        watermark += rng.choice([0, 0, 5, 20, 60])
        out.append(_message(offset, rows, follows, watermark if offset < length - 1 else FOREVER))
        follows = RowMark(offset, len(rows) - 1) if rows else follows
    return out


def _hear(context: Context, event: str, source: str) -> None:
    record = {"event": event, "source": source, "kind": "login", "timeline": ""}
    context.take(Message(SOURCES, 0, context.registry.epoch + 1, json.dumps(record).encode(), ()))


def _stage(context: Context | None = None) -> CorrelateStage:
    if context is None:
        context = Context(1)
        _hear(context, "registered", "s")
    return CorrelateStage(Always(RULE_SET), Judge(), context, inventory=False, calendar=DENVER)


def _take(versions: Versions, outputs: Any) -> None:
    for output in outputs:
        record = decode_record(output.value)[1]
        assert versions.setdefault((record["id"], record["version"]), record) == record


@dataclass
class Owner:
    """Owners of one input partition, one after the other, and the state topic between them."""

    rng: random.Random
    topic: list[tuple[bytes | None, bytes | None]] = field(default_factory=list)
    stage: CorrelateStage = field(default_factory=_stage)
    writer: Writer = field(default_factory=lambda: Writer("state", 1, HERE, 1))
    cleanup: list[Output] = field(default_factory=list)

    def checkpoint(self, killed_after: float) -> bool:
        """Write a checkpoint, the records of a lot in any order, or a part of it; False: killed within."""
        parts, meta, gone = self.writer.checkpoint(self.stage.snapshot())
        lots = [parts, meta, gone + self.cleanup]
        for lot in lots:
            self.rng.shuffle(lot)
        records = [(o.key, o.value or None) for lot in lots for o in lot]
        assert max(len(value or b"") for _, value in records) <= snapshots.MAX_PART
        written = round(killed_after * len(records))
        self.topic += records[:written]
        self.cleanup = []
        return written == len(records)

    def restart(self) -> None:
        saved = collect(self.topic, [HERE])[HERE]
        mine = owned(_stage, saved)
        assert not mine.faults
        assert isinstance(mine.stage, CorrelateStage)
        self.stage, self.writer = mine.stage, Writer("state", 1, HERE, mine.epoch)
        self.cleanup = self.writer.forget(saved)


@given(st.integers(0, 2**32), st.integers(1, 16))
def test_restarts_after_any_record_of_any_checkpoint_change_no_violation(seed: int, length: int) -> None:
    rng = random.Random(seed)
    log = _log(rng, length, rng.choice([0.0, 0.1]))
    plain, expected, found = _stage(), Versions(), Versions()
    for message in log:
        _take(expected, plain.handle(message))
    owner = Owner(rng)
    restarts = 0
    while owner.stage.applied < length - 1:
        if rng.random() < 0.7:  # a new owner saves before it has handled anything
            _take(found, owner.stage.handle(log[owner.stage.applied + 1]))
        if rng.random() < 0.7:
            whole = rng.random() < 0.7 or restarts > 15
            killed = not owner.checkpoint(1.0 if whole else rng.random())
            if killed or (rng.random() < 0.2 and restarts < 15):
                owner.restart()
                restarts += 1
    assert found == expected


@given(st.integers(0, 2**32))
@example(391)  # three small buckets were over again and again, and the fourth waited
def test_the_state_topic_holds_no_more_than_the_chains_that_count(seed: int) -> None:
    rng = random.Random(seed)
    owner = Owner(rng)
    for message in _log(rng, 20):
        owner.stage.handle(message)
        assert owner.checkpoint(1.0)
    saved = collect(owner.topic, [HERE])[HERE]
    parts = with_meta(next(saved.whole()))
    meta = unpack(parts[META])
    chains = [changes for number, changes, _ in meta["buckets"] if number]
    metas = {META} | {tag for tag in parts if tag.startswith(META)}
    assert saved.highest == 1
    assert len(parts) == len(metas) + len(chains) + sum(chains)
    assert len(metas) <= 2
    assert max(chains) <= checkpoints.MAX_CHANGES + correlate.BUCKETS // checkpoints.MAX_WHOLE
    assert max(number for number, _, _ in meta["buckets"]) > 1


def test_a_new_owner_knows_that_a_source_was_absent_though_no_row_and_no_key_changed() -> None:
    context = Context(1)
    _hear(context, "registered", "s")
    _hear(context, "registered", "other")
    stages = [_stage(context)]
    messages = [_message(0, [], NOTHING, 1, ("s", "other")), _message(1, [], NOTHING, 40)]
    parts = dict[str, bytes]()
    for message in messages:
        assert stages[0].handle(message) == []
        parts |= stages[0].snapshot()
        _hear(context, "absent", "other")
    assert stages[0].figures()["checkpoint_bytes"] == len(parts[META])
    _hear(context, "returned", "other")
    stages.append(_stage(context))
    stages[1].restore(parts)
    # The deadlines at 50 have blind time before them: nothing can be said of them.
    back = _message(2, [], NOTHING, 60, ("s", "other"))
    for stage in stages:
        assert stage.handle(back) == []
        assert stage.figures()["coverage_gaps"] == 3


def _saved_twice() -> dict[str, bytes]:
    """The parts of two checkpoints: whole buckets and changes of them."""
    log = _log(random.Random(2), 9)
    stage, parts = _stage(), dict[str, bytes]()
    for message in log[:-1]:
        stage.handle(message)
        if message.offset in (5, 7):
            parts |= stage.snapshot()
    assert any(tag.count(".") == 2 for tag in parts)
    return parts


def test_a_part_that_is_missing_or_another_is_named_and_nothing_is_restored_from_the_rest() -> None:
    parts = _saved_twice()
    _stage().restore(parts)
    for tag in parts.keys() - {META}:
        with pytest.raises(StateError, match=tag):
            _stage().restore({t: part for t, part in parts.items() if t != tag})
        plain = unpack(parts[tag])
        other = pack(**{name: value for name, value in plain.items() if name != "v"} | {"applied": 0})
        with pytest.raises(StateError, match=tag):
            _stage().restore(parts | {tag: other})


def test_a_byte_that_is_another_anywhere_in_a_part_is_noticed() -> None:
    part = pack(told={"live": 1_772_467_200_000_000}, buckets=[[1, 0, 7]], name="text")
    assert unpack(part) == {"v": 1, "told": {"live": 1_772_467_200_000_000}, "buckets": [[1, 0, 7]], "name": "text"}
    name = part.rindex(b"crc32")
    for place in {*range(len(part))} - {*range(name, name + 5)}:  # a checksum of another name is none
        with pytest.raises(StateError):
            unpack(part[:place] + bytes([part[place] ^ 1]) + part[place + 1 :])


@pytest.mark.parametrize("seed", range(8))
def test_state_of_the_release_before_is_read_and_it_refuses_ours(seed: int) -> None:
    rng = random.Random(seed)
    log = _log(rng, 20)
    plain, expected, found = _stage(), Versions(), Versions()
    before, meta = _stage(), dict[str, Any]()
    for message in log:
        _take(expected, plain.handle(message))
        if message.offset < 12:
            _take(found, before.handle(message))
        if message.offset == 9:
            meta = unpack(before.snapshot()[META])
    # As it was written: whole buckets, here all ahead of their `meta` by two messages.
    parts = {f"b{n:02d}": pack(applied=11, state=b.save()) for n, b in enumerate(_buckets(before))}
    kept = {name: meta[name] for name in ("applied", "marks", "progress")}
    owner = Owner(rng)
    owner.stage.restore(parts | {META: pack(buckets=correlate.BUCKETS, **kept)})
    assert owner.stage.applied == 9
    for offset in range(10, 20):
        if offset in (11, 14):
            assert owner.checkpoint(1.0)
            owner.restart()
        _take(found, owner.stage.handle(log[offset]))
    assert found == expected
    assert meta["buckets"] != correlate.BUCKETS


def _buckets(stage: CorrelateStage) -> list[Bucket]:
    return stage._buckets  # the release before gave them away one by one
