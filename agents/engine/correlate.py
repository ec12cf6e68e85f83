"""Detections in, violations out: reorder, windows, episodes. Pure: no clock, no I/O, no Kafka.

A `Bucket` holds a share of the keys of one partition of `aup.detections` and is the unit that is saved. Rows wait in it
until the watermark of their rule has passed them; then they are applied in (event time, event id) order, so that order
and batching of arrival change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from agents.context.calendar import Calendar
from agents.context.remembered import Remembered
from agents.engine import saving
from agents.engine.absence import AbsenceKey
from agents.engine.chains import in_order, parents_of, row_of_episode
from agents.engine.episodes import Episode, Judge, Records
from agents.engine.key import Setting
from agents.engine.keystore import HOT_KEYS, KeyStore
from agents.engine.rows import KeyedRow, Row
from agents.engine.rulestate import RuleState, Tell
from agents.engine.waiting import Waiter
from agents.rules.model import Rule, part_of
from agents.rules.own import Absence
from schemas.errors import NewerReleaseError, StateError
from schemas.headers import FOREVER, NEVER

MAX_PENDING = 2_000_000  # rows waiting for the watermark in one bucket; beyond it the worker stops with a word
STATE_VERSION = 2
READABLE = (1, 2)
_NONE: Mapping[Any, Any] = {}


Put = Callable[[Row, str], None]


@dataclass(frozen=True, slots=True)
class RuleTime:
    """What the sources of a rule have told so far.

    Attributes:
        watermark: No row that is not stamped late is older than this, microseconds UTC.
        earliest: Earliest event of the rule's sources, for a learning time; None where there was none.
        incomplete: True where one of the sources is absent.
        covered: Up to where it is known what came, where sources have ended and no row will come; None: not known.
            See `ProgressTable.covered`.
        whole_from: Windows that hold a row before this time may lack others, which were lost.
    """

    watermark: int = NEVER
    earliest: int | None = None
    incomplete: bool = False
    covered: int | None = None
    whole_from: int = NEVER


@dataclass(slots=True)
class Counters:
    """What a bucket counted since it was made; the caller turns it into metrics."""

    applied: int = 0
    late: int = 0
    behind: int = 0
    unknown_rule: int = 0


class Bucket:
    """Windows and waiting rows of some group keys, of one timeline.

    `take` and `advance` never block; both change the state that `save` gives.

    Args:
        rules: Rules by id.
        judge: Permits and the policy's name.
        timeline: Empty for live.
        inventory: True where the district has one.
        calendar: The district's.
        hot_keys: Keys of a rule that are kept as objects; see `KeyStore`.
        owns: Says of a rule and a group key (its `kept_by`) whether they are this bucket's: for keys that are expected,
            of which nothing need ever come.
    """

    def __init__(
        self,
        rules: Mapping[str, Rule],
        judge: Judge,
        *,
        timeline: str = "",
        inventory: bool = False,
        calendar: Calendar | None = None,
        hot_keys: int = HOT_KEYS,
        owns: Callable[[str, str], bool] = lambda _rule, _key: True,
    ) -> None:
        self._judge, self._timeline, self._inventory = judge, timeline, inventory
        self._calendar = Calendar() if calendar is None else calendar
        self._hot_keys, self._owns = hot_keys, owns
        self._chains = [(NEVER, parents_of(rules))]
        self._states = {r: self._new(rules[r], NEVER) for r in in_order(rules)}
        self._timed = self._those_timed()
        self.counters = Counters()
        self.dirty = False
        self._saved = frozenset[str]()  # rules that there were at the last `save`
        self.said: list[str] = []  # what was dropped as rules changed, for the caller to log and clear

    def _new(self, rule: Rule, start: int) -> RuleState:
        return RuleState(rule, Setting(rule, self._judge, self._timeline, self._calendar), self._hot_keys, start)

    def _those_timed(self) -> list[str]:
        """Rules that time passes for, those that a chain begins with first."""
        newest = {r: s.rule for r, s in self._states.items()}
        newest |= {r: rule for r, s in self._states.items() if (rule := s.latest()) is not None}
        return [r for r in in_order(newest) if not self._states[r].single or self._states[r].coming]

    def follow(self, start: int, rules: Mapping[str, Rule]) -> None:
        """Announce the rules that judge from an event time on; those before judge what is older.

        Args:
            start: Microseconds UTC; not before that of any set announced earlier.
            rules: All of them, by id. A rule that is the same goes on as if nothing had been said.
        """
        self._chains.append((start, parents_of(rules)))
        for rule_id in in_order(rules):
            state = self._states.get(rule_id)
            if state is None:
                self._states[rule_id] = self._new(rules[rule_id], start)
            elif not rules[rule_id].same_as(state.latest()):
                state.coming.append((start, rules[rule_id]))
        for rule_id, state in self._states.items():
            if rule_id not in rules and state.latest() is not None:
                state.coming.append((start, None))
        self._timed = self._those_timed()

    @property
    def pending(self) -> int:
        """Rows that wait for a watermark."""
        return sum(s.waiting.count for s in self._states.values())

    @property
    def keys(self) -> int:
        """Group keys with state."""
        return sum(len(s.keys) + len(s.seen) for s in self._states.values())

    @property
    def limits(self) -> Mapping[tuple[str, str], int]:
        """What rules could not do, by rule and name; see `RuleState.limits`."""
        return {(r, name): n for r, s in self._states.items() for name, n in s.limits.items() if n}

    def take(self, rows: Iterable[KeyedRow]) -> Records:
        """Accept rows in any order of event time.

        Returns:
            Records of rules without a window, which wait for nothing.

        Raises:
            StateError: more than `MAX_PENDING` rows wait.
        """
        out: Records = []
        known = Remembered(self._to)
        for rule_id, group_key, late, row, _ in rows:
            found = known[rule_id]
            if found is None:
                self.counters.unknown_rule += 1
                continue
            state, put = found
            if put is not None and not late and row[0] >= state.passed:
                put(row, group_key)
            else:
                self._take(state, group_key, row, out, late=late)
        self.dirty = self.dirty or bool(known)
        if self.pending > MAX_PENDING:
            raise StateError(
                f"{self.pending} rows wait for a source that does not move on",
                hint="look with `aupstream status` which source is behind; start its collector or retire it",
            )
        return out

    def _to(self, rule_id: str) -> tuple[RuleState, Put | None] | None:
        """A rule's state, and where its rows wait if nothing but their time is asked of them."""
        state = self._states.get(rule_id)
        if state is None:
            return None
        plain = not state.coming and not state.single and state.expected is None
        return state, state.waiting.add if plain else None

    def _take(self, state: RuleState, group_key: str, row: Row, out: Records, *, late: bool) -> None:
        """One row of a rule; of one of which a next version is announced the row's time says which one it is for."""
        rule = state.as_of(row.t) if state.coming else state.rule
        if rule is None:
            self.counters.unknown_rule += 1
        elif rule.kind == "single":
            out.append(self._alone(rule, group_key, row))
        elif late:
            self.counters.late += 1
        elif row.t < state.passed:
            # Only a source that had ended and goes on, or came back from absence, can do this: its rows belong into a
            # timeline of their own. Windows that are judged are not judged again.
            self.counters.behind += 1
        elif not isinstance(rule.own, Absence) or group_key in rule.own.expect:
            state.waiting.add(row, group_key)

    def advance(self, times: Mapping[str, RuleTime], of_version: Mapping[tuple[str, int], RuleTime] = _NONE) -> Records:
        """Apply every row that its rule's watermark has passed, then let time pass up to the watermark.

        Args:
            times: By rule.
            of_version: By rule and start, where versions of a rule read different sources.
        """
        out: Records = []
        for rule_id in self._timed:
            state = self._states.get(rule_id)
            while state is not None:
                time = of_version.get((rule_id, state.start)) or times.get(rule_id)
                if time is None or time.watermark <= NEVER:
                    break
                if not state.coming or time.watermark < state.coming[0][0]:
                    self._pass(state, time, time.watermark, out)
                    break
                self._pass(state, time, state.coming[0][0], out)
                state = self._succeeded(state, out)
        if out:
            self.dirty = True
        return out

    def _pass(self, state: RuleState, time: RuleTime, upto: int, out: Records) -> None:
        """Let a rule's time pass up to its watermark, or to the start of its next version."""
        self._set(state, time, upto)
        tell = self._teller(state.rule, out)
        if isinstance(state.rule.own, Absence) and not state.expecting:
            self._expect(state, state.rule.own, time.earliest, upto)
        due = state.waiting.due(upto)
        if due:
            self.counters.applied += len(due)
            self.dirty = True
            if state.rule.kind == "new_value":
                self._new_values(state, due, time, tell)
            else:
                _apply(state.keys, due, tell)
        if state.keys.ring(upto, tell):
            self.dirty = True
        state.passed = max(state.passed, upto)

    def _succeeded(self, state: RuleState, out: Records) -> RuleState | None:
        """The state of a rule's next version; None where the rule is gone."""
        rule = state.rule
        there, said = state.succeed(self._teller(rule, out))
        self.said += said
        self.dirty = True
        if not there:
            del self._states[rule.id]
        self._timed = self._those_timed()
        return self._states.get(rule.id)

    def _set(self, state: RuleState, time: RuleTime, upto: int) -> None:
        """Note what the sources of a rule have covered."""
        setting = state.setting
        setting.incomplete, setting.whole_from = time.incomplete, time.whole_from
        setting.covered_to = min(_covered(state, time), upto)
        if time.incomplete and setting.covered_to > setting.blind_until:
            setting.blind_until = setting.covered_to
            self.dirty = True

    def _expect(self, state: RuleState, own: Absence, earliest: int | None, upto: int) -> None:
        """Begin to expect the keys of the rule that are this bucket's, once no earlier event can come."""
        if earliest is None or upto <= earliest:
            return
        state.expecting = self.dirty = True
        earliest = max(earliest, state.passed)
        for group_key in sorted(own.expect):
            if group_key not in state.keys and self._owns(state.rule.id, group_key):
                key = state.keys.find(group_key, earliest)
                assert isinstance(key, AbsenceKey)
                key.start(earliest)
                state.keys.watch(group_key, key.alarm())

    def learn_from(self, rule_id: str, since: int) -> None:
        """What a rule had learned before an event time is gone: it learns anew from there. Once or often."""
        state = self._states.get(rule_id)
        if state is not None and state.since < since:
            state.since = since
            self.dirty = True

    def _new_values(self, state: RuleState, due: Iterable[Waiter], time: RuleTime, tell: Tell) -> None:
        rule = state.rule
        learning = rule.learning_us(inventory=self._inventory)
        for row, group_key in due:
            if not state.seen.is_new(group_key, row.t):
                continue
            earliest = max(row.t if time.earliest is None else time.earliest, state.since)
            if row.t >= earliest + learning:
                tell(group_key, [self._alone(rule, group_key, row, incomplete=time.incomplete)])

    def _teller(self, rule: Rule, out: Records) -> Tell:
        return partial(self._tell, rule, out)

    def _tell(self, rule: Rule, out: Records, group_key: str, made: Records) -> None:
        """Hand on what a rule says: to the rules behind it in a chain, and to everybody unless it is for them alone."""
        for record in made:
            if record["version"] == 1:
                chains = next(parents for start, parents in reversed(self._chains) if start <= record["opened_at"])
                for parent in chains.get(rule.id, ()):
                    row = row_of_episode(rule, parent, group_key, record)
                    self._states[parent.id].waiting.add(row, part_of(group_key, parent.group_by))
        if not rule.silent:
            out += made

    def _alone(self, rule: Rule, group_key: str, row: Row, *, incomplete: bool = False) -> dict[str, Any]:
        """A violation of one row: opened and closed by it."""
        episode = Episode(group_key, row, opened_at=row.t)
        episode.take(rule, row, self._judge)
        episode.value = 1.0
        return episode.record(rule, self._judge, closed_at=row.t, timeline=self._timeline, incomplete=incomplete)

    def save(self) -> dict[str, Any]:
        """Everything as plain values, rule by rule with the shape of the rule. From now on it is noted what changes."""
        found = {rule_id: saving.whole(s) for rule_id, s in self._states.items()}
        self._saved = frozenset(found)
        told = {r: w for r, w in found.items() if w["pending"] or w["keys"] or w["known"] or w["passed"] > NEVER}
        return {"v": STATE_VERSION, "rules": told}

    def changes(self) -> dict[str, Any] | None:
        """What changed since the last `save` or `changes`, for `saving.merge`; None where only `save` will do.

        Its size and the work are those of the rows and keys that changed.
        """
        if self._states.keys() != self._saved or not all(map(saving.noting, self._states.values())):
            return None
        found = {rule_id: saving.changes(s) for rule_id, s in self._states.items()}
        return {"v": saving.CHANGES_VERSION, "rules": {r: c for r, c in found.items() if c}}

    def reached(self) -> dict[str, saving.Reached]:
        """How far each rule has come. The bucket is not `dirty` by it."""
        return {rule_id: saving.reached(s) for rule_id, s in self._states.items()}

    def reads(self) -> dict[str, int]:
        """A checksum of which rows each rule reads, the same in all buckets."""
        return {rule_id: saving.reads(s) for rule_id, s in self._states.items()}

    def reach(self, saved: Mapping[str, saving.Reached], reads: Mapping[str, int]) -> None:
        """Take back what `reached` and `reads` gave, after `load`: of rules that read the same rows now."""
        for rule_id, far in saved.items():
            state = self._states.get(rule_id)
            if state is not None and saving.reads(state) == reads[rule_id]:
                saving.reach(state, far)

    def load(self, state: Mapping[str, Any]) -> list[str]:
        """Take back what `save` gave, or `saving.merge` made of it.

        Returns:
            Sentences that say what was dropped because its rule is gone or has another shape now.

        Raises:
            NewerReleaseError: the state is of a newer release.
        """
        if state.get("v") not in READABLE:
            raise NewerReleaseError(
                f"saved state has version {state.get('v')!r}, this release reads {', '.join(map(str, READABLE))}",
                hint="run the release that wrote it, or a newer one",
            )
        said = []
        for rule_id, saved in state["rules"].items():
            mine = self._states.get(rule_id)
            if mine is None or not mine.reach(saved["passed"]):
                self._states.pop(rule_id, None)
                said.append(f"state of rule {rule_id} dropped: the rule is gone")
            else:
                said += saving.take_back(mine, saved)
        self._timed = self._those_timed()
        return said


def _covered(state: RuleState, time: RuleTime) -> int:
    """Up to where it is known what came: beyond the end of all logs nothing is, though no row will come either."""
    if state.passed == FOREVER:
        return NEVER  # the end was judged; rows of a log that is found longer later on come too late
    if time.covered is not None:
        return time.covered
    return state.passed if time.watermark == FOREVER else time.watermark


def _apply(keys: KeyStore, due: Iterable[Waiter], tell: Tell) -> None:
    """Apply rows in their order."""
    made: Records = []
    for row, group_key in due:
        # `find` changes the young keys' dict for another: it is asked anew for each row.
        key = keys.young.get(group_key) or keys.find(group_key, row[0])
        key.apply(row, made)
        if made:
            tell(group_key, made)
            made = []
        elif key.episode is None:
            continue
        keys.watch(group_key, key.alarm())  # also of a row that says nothing: it may have made a session shorter
