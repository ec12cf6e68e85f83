"""Detections in, violations out: reorder, windows, episodes. Pure: no clock, no I/O, no Kafka.

A `Bucket` holds a share of the keys of one partition of `aup.detections` and is the unit that is saved. Rows wait in it
until the watermark of their rule has passed them; then they are applied in (event time, event id) order, so that order
and batching of arrival change nothing.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.engine.episodes import Episode, Judge, Records
from agents.engine.keystate import KeyState
from agents.engine.rows import KeyedRow, Row
from agents.rules.model import NUMERIC_KINDS, Rule, part_of
from schemas.errors import StateError
from schemas.headers import NEVER

MAX_PENDING = 2_000_000  # rows waiting for the watermark in one bucket; beyond it the worker stops with a word
STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class RuleTime:
    """What the sources of a rule have told so far.

    Attributes:
        watermark: No row that is not stamped late is older than this, microseconds UTC.
        earliest: Earliest event of the rule's sources, for a learning time; None where there was none.
        incomplete: True where one of the sources is absent.
    """

    watermark: int = NEVER
    earliest: int | None = None
    incomplete: bool = False


@dataclass(slots=True)
class Counters:
    """What a bucket counted since it was made; the caller turns it into metrics."""

    applied: int = 0
    late: int = 0
    behind: int = 0
    unknown_rule: int = 0


@dataclass(slots=True)
class _RuleState:
    pending: list[tuple[int, str, str, str, Row]] = field(default_factory=list)  # heap
    keys: dict[str, KeyState] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)  # new_value: group key -> first seen
    timers: list[tuple[int, str]] = field(default_factory=list)  # heap of (instant, group key)
    passed: int = NEVER  # watermark reached: an older row comes from a source that was told to be past it


def in_order(rules: Mapping[str, Rule]) -> list[str]:
    """Ids of rules, those that a chain begins with before those behind them."""
    ordered: dict[str, None] = {}

    def visit(rule_id: str) -> None:
        if rule_id not in ordered and rule_id in rules:
            for inner in sorted(rules[rule_id].inner):
                visit(inner)
            ordered[rule_id] = None

    for rule_id in rules:
        visit(rule_id)
    return list(ordered)


def _row_of(rule: Rule, parent: Rule, group_key: str, record: Mapping[str, Any]) -> Row:
    """An episode that has opened, as a row of a rule behind it. Its event is the violation itself."""
    newest = record["evidence"][-1]
    field = parent.value_field
    value = json.loads(group_key).get(field) if field else None
    numeric = parent.kind in NUMERIC_KINDS
    return Row(
        t=record["opened_at"],
        event_id=record["id"],
        base=rule.id,
        values=() if value is None or numeric else (str(value),),
        number=float(record["value"]) if numeric else None,
        source=newest["log_source"],
        generation=newest["log_generation"],
        offset=newest["log_offset"],
        line_hash=newest["log_hash"],
        summary=json.dumps({"rule_id": rule.id, "violation_id": record["id"]}, separators=(",", ":")),
        facts=(),
    )


class Bucket:
    """Windows and waiting rows of some group keys, of one timeline.

    `take` and `advance` never block; both change the state that `save` gives.
    """

    def __init__(self, rules: Mapping[str, Rule], judge: Judge, *, timeline: str = "", inventory: bool = False) -> None:
        self._rules = rules
        self._judge = judge
        self._timeline = timeline
        self._inventory = inventory
        self._states = {rule_id: _RuleState() for rule_id in in_order(rules)}
        self._parents = {r: [p for p in rules.values() if r in p.inner] for r in rules}
        self.counters = Counters()
        self.dirty = False

    @property
    def pending(self) -> int:
        """Rows that wait for a watermark."""
        return sum(len(s.pending) for s in self._states.values())

    @property
    def keys(self) -> int:
        """Group keys with state."""
        return sum(len(s.keys) + len(s.known) for s in self._states.values())

    def take(self, rows: Iterable[KeyedRow]) -> Records:
        """Accept rows in any order of event time.

        Returns:
            Records of rules without a window, which wait for nothing.

        Raises:
            StateError: more than `MAX_PENDING` rows wait.
        """
        out: Records = []
        for item in rows:
            self.dirty = True
            rule, state = self._rules.get(item.rule_id), self._states.get(item.rule_id)
            if rule is None or state is None:
                self.counters.unknown_rule += 1
            elif rule.kind == "single":
                out.append(self._alone(rule, item.group_key, item.row))
            elif item.late:
                self.counters.late += 1
            elif item.row.t < state.passed:
                # Only a source that had ended and goes on, or came back from absence, can do this: its rows belong
                # into a timeline of their own. Windows that are judged are not judged again.
                self.counters.behind += 1
            else:
                row = item.row
                heapq.heappush(state.pending, (row.t, row.event_id, row.base, item.group_key, row))
        if self.pending > MAX_PENDING:
            raise StateError(
                f"{self.pending} rows wait for a source that does not move on",
                hint="look with `aupstream status` which source is behind; start its collector or retire it",
            )
        return out

    def advance(self, times: Mapping[str, RuleTime]) -> Records:
        """Apply every row that its rule's watermark has passed, then let time pass up to the watermark."""
        out: Records = []
        for rule_id, state in self._states.items():
            time = times.get(rule_id)
            if time is not None and time.watermark > NEVER:
                self._drain(self._rules[rule_id], state, time, out)
                self._ring(rule_id, state, time, out)
                state.passed = max(state.passed, time.watermark)
        if out:
            self.dirty = True
        return out

    def _drain(self, rule: Rule, state: _RuleState, time: RuleTime, out: Records) -> None:
        pending = state.pending
        while pending and pending[0][0] < time.watermark:
            _, _, _, group_key, row = heapq.heappop(pending)
            self.counters.applied += 1
            self.dirty = True
            made: Records = []
            if rule.kind == "new_value":
                self._new_value(rule, state, group_key, row, time, made)
            else:
                self._apply(rule, state, group_key, row, time, made)
            if made:
                self._tell(rule, group_key, made, out)

    def _apply(self, rule: Rule, state: _RuleState, group_key: str, row: Row, time: RuleTime, out: Records) -> None:
        key = state.keys.get(group_key)
        if key is None:
            key = state.keys[group_key] = KeyState(rule, group_key, self._timeline)
        key.incomplete = key.incomplete or time.incomplete
        key.apply(row, self._judge, out)
        if key.timer is None:
            self._set_timer(state, group_key, key, row.t)

    def _tell(self, rule: Rule, group_key: str, made: Records, out: Records) -> None:
        """Hand on what a rule says: to the rules behind it in a chain, and to everybody unless it is for them alone."""
        for parent in self._parents[rule.id]:
            pending = self._states[parent.id].pending
            for record in made:
                if record["version"] == 1:
                    row = _row_of(rule, parent, group_key, record)
                    heapq.heappush(pending, (row.t, row.event_id, row.base, part_of(group_key, parent.group_by), row))
        if not rule.silent:
            out += made

    def _set_timer(self, state: _RuleState, group_key: str, key: KeyState, now: int) -> None:
        key.timer = key.settle(now)
        if key.timer is not None:
            heapq.heappush(state.timers, (key.timer, group_key))

    def _ring(self, rule_id: str, state: _RuleState, time: RuleTime, out: Records) -> None:
        timers = state.timers
        while timers and timers[0][0] < time.watermark:
            _, group_key = heapq.heappop(timers)
            key = state.keys[group_key]
            made: Records = []
            key.tick(time.watermark, self._judge, made)
            if made:
                self._tell(self._rules[rule_id], group_key, made, out)
            self._set_timer(state, group_key, key, time.watermark)
            self.dirty = True
            if key.timer is None and not key.window.rows and key.episode is None:
                del state.keys[group_key]

    def _new_value(self, rule: Rule, state: _RuleState, group_key: str, row: Row, time: RuleTime, out: Records) -> None:
        if group_key in state.known:
            return
        state.known[group_key] = row.t
        earliest = row.t if time.earliest is None else time.earliest
        if row.t < earliest + rule.learning_us(inventory=self._inventory):
            return
        out.append(self._alone(rule, group_key, row, incomplete=time.incomplete))

    def _alone(self, rule: Rule, group_key: str, row: Row, *, incomplete: bool = False) -> dict[str, Any]:
        """A violation of one row: opened and closed by it."""
        episode = Episode(group_key, row, opened_at=row.t)
        episode.take(rule, row, self._judge)
        episode.value = 1.0
        return episode.record(rule, self._judge, closed_at=row.t, timeline=self._timeline, incomplete=incomplete)

    def save(self) -> dict[str, Any]:
        """Everything as plain values, rule by rule with the version of the rule."""
        return {
            "v": STATE_VERSION,
            "rules": {
                rule_id: {
                    "kind": self._rules[rule_id].kind,
                    "span": self._rules[rule_id].timespan_us,
                    "pending": [[p[3], p[4].to_state()] for p in sorted(s.pending, key=lambda p: p[:4])],
                    "keys": {k: key.to_state() for k, key in s.keys.items()},
                    "known": s.known,
                    "passed": s.passed,
                }
                for rule_id, s in self._states.items()
                if s.pending or s.keys or s.known or s.passed > NEVER
            },
        }

    def load(self, state: Mapping[str, Any]) -> list[str]:
        """Take back what `save` gave.

        Returns:
            Sentences that say what was dropped because its rule is gone or of another kind now.

        Raises:
            StateError: the state is of a newer release.
        """
        if state.get("v") != STATE_VERSION:
            raise StateError(
                f"saved state has version {state.get('v')!r}, this release reads {STATE_VERSION}",
                hint="run the release that wrote it, or start with an empty state folder",
            )
        said = []
        for rule_id, saved in state["rules"].items():
            rule = self._rules.get(rule_id)
            if rule is None or (rule.kind, rule.timespan_us) != (saved["kind"], saved["span"]):
                said.append(f"state of rule {rule_id} dropped: the rule is gone or changed its kind or time span")
                continue
            self._load_rule(rule, self._states[rule_id], saved)
        return said

    def _load_rule(self, rule: Rule, state: _RuleState, saved: Mapping[str, Any]) -> None:
        for group_key, plain in saved["pending"]:
            row = Row.from_state(plain)
            state.pending.append((row.t, row.event_id, row.base, group_key, row))
        heapq.heapify(state.pending)
        state.known.update(saved["known"])
        state.passed = saved["passed"]
        for group_key, plain in saved["keys"].items():
            key = state.keys[group_key] = KeyState.from_state(rule, group_key, self._timeline, plain)
            newest = key.window.rows[-1].t if key.window.rows else key.used[0]
            self._set_timer(state, group_key, key, newest)
