"""Rows as a worker gets them: out of order, in portions, over partitions, some again, with restarts in between."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

import polars as pl
from hypothesis import strategies as st

from agents.context.calendar import Calendar
from agents.delivery.correlate import CorrelateStage
from agents.delivery.feed import Context
from agents.delivery.link import NOTHING, Link, RowMark
from agents.delivery.rulebook import Always
from agents.delivery.stage import Message
from agents.engine.episodes import Judge, Records
from agents.engine.feeding import DETECTION_SCHEMA
from agents.engine.progress import Told
from agents.engine.rows import Row
from agents.rules.model import Rule, RuleSet
from schemas.codec import encode
from schemas.headers import FOREVER, NEVER
from schemas.ids import key_partition
from schemas.kinds import DETECTIONS, SOURCES, EventKind
from schemas.records import decode_record

Keyed = Sequence[tuple[str, Row]]  # group keys as JSON, and rows


def staged(
    draw: Any,
    rule: Rule,
    log: Keyed,
    *,
    lateness: int,
    end: int = FOREVER,
    calendar: Calendar | None = None,
    inner: Sequence[Rule] = (),
) -> Records:
    """Last versions of the violations that workers make of a log.

    Args:
        draw: Of Hypothesis: order, sizes, partitions, repeats, restarts.
        rule: The rule.
        log: Rows in order.
        lateness: 30 % of the rows come up to so much later than those of their time, microseconds.
        end: Progress after the last row.
        calendar: The district's.
        inner: Rules before it in a chain: rows of their bases are theirs, with their group keys.
    """
    rules = (rule, *inner)
    partitions = draw(st.integers(1, 3))
    messages = _messages(draw, rules, _arrivals(draw, log, lateness), partitions, lateness, end)
    versions: dict[tuple[str, int], dict[str, Any]] = {}
    for p in range(partitions):
        for record in _consumed(draw, rules, messages[p], (p, partitions), calendar):
            known = versions.setdefault((record["id"], record["version"]), record)
            assert known == record  # the same id and version always have the same content
    last: dict[str, dict[str, Any]] = {}
    for (name, _), record in sorted(versions.items()):
        last[name] = record
    return list(last.values())


def _arrivals(draw: Any, log: Keyed, lateness: int) -> list[tuple[str, Row]]:
    late = [draw(st.integers(0, lateness)) if draw(st.integers(0, 9)) < 3 else 0 for _ in log]
    return [pair for _, pair in sorted(zip(late, log, strict=True), key=lambda p: p[1][1].t + p[0])]


def _messages(
    draw: Any, rules: Sequence[Rule], arrivals: Keyed, partitions: int, lateness: int, end: int
) -> list[list[tuple[bytes, Any]]]:
    """What is sent to each partition; any message may be sent again."""
    made: list[list[tuple[bytes, Any]]] = [[] for _ in range(partitions)]
    marks = [NOTHING] * partitions
    earliest, newest = FOREVER, NEVER
    size = draw(st.integers(1, len(arrivals)))
    for offset, start in enumerate([*range(0, len(arrivals), size), len(arrivals)]):
        portion = list(enumerate(arrivals[start : start + size]))
        newest = max([newest, *(row.t for _, (_, row) in portion)])
        earliest = min([earliest, *(row.t for _, (_, row) in portion)])
        told = [Told("s", "", newest - lateness if portion else end, earliest, newest)]
        for p in range(partitions):
            judged = [(n, _rule_of(rules, row), key, row) for n, (key, row) in portion]
            mine = [one for one in judged if key_partition(*one[1].kept_by(one[2]), partitions) == p]
            value = encode("detection", _frame(mine)) if mine else b""
            last = RowMark(offset, mine[-1][0]) if mine else marks[p]
            runs = [(offset, len(mine))] if mine else []
            link = Link(
                EventKind.LOGIN.topic, 0, rules[0].lane, marks[p], last, told, 0, len(mine), zlib.crc32(value), runs
            )
            made[p].append((value, link.to_kafka()))
            marks[p] = last
            if draw(st.integers(0, 4)) == 0:
                made[p].append(draw(st.sampled_from(made[p])))
    return made


def _rule_of(rules: Sequence[Rule], row: Row) -> Rule:
    return next(rule for rule in reversed(rules) if rule is rules[0] or row.base in rule.bases)


def _frame(rows: Sequence[tuple[int, Rule, str, Row]]) -> pl.DataFrame:
    listed = [
        {
            "rule_id": rule.id, "rule_version": rule.version, "base": r.base, "group_key": key, "timestamp": r.t,
            "event_id": r.event_id, "late": False, "values": list(r.values), "number": r.number, "facts": [],
            "log_source": r.source, "log_generation": r.generation, "log_offset": r.offset, "log_sub": 0,
            "log_hash": r.line_hash, "summary": r.summary, "row": n,
        }
        for n, rule, key, r in rows
    ]  # fmt: skip
    return pl.DataFrame(listed, schema={**DETECTION_SCHEMA, "timestamp": pl.Int64}, orient="row").with_columns(
        pl.col("timestamp").cast(pl.Datetime("us", "UTC"))
    )


def _consumed(
    draw: Any,
    judged: Sequence[Rule],
    messages: Sequence[tuple[bytes, Any]],
    partition: tuple[int, int],
    calendar: Calendar | None,
) -> Records:
    """One worker's records; it is saved here and there, killed here and there, and goes on from what was saved."""

    def stage() -> CorrelateStage:
        context = Context(1)
        registered = json.dumps({"event": "registered", "source": "s", "kind": "login"}).encode()
        context.take(Message(SOURCES, 0, 0, registered, ()))
        rules = RuleSet(tuple(judged), (), "")
        return CorrelateStage(Always(rules), Judge(), context, inventory=False, calendar=calendar, partition=partition)

    out: Records = []
    saved: dict[str, bytes] = {}
    worker, offset = stage(), 0
    kills = draw(st.integers(0, 2))
    while offset < len(messages):
        value, headers = messages[offset]
        out += [
            decode_record(o.value)[1] for o in worker.handle(Message(DETECTIONS, partition[0], offset, value, headers))
        ]
        offset += 1
        what = draw(st.integers(0, 5))
        if what == 0:
            saved.update(worker.snapshot())
        elif what == 1 and kills:
            kills -= 1
            worker = stage()
            worker.restore(saved)
            offset = worker.applied + 1
    return out
