"""What a bucket has of one rule, and how a rule's next version takes it over.

A new version is in force from an event time on. Rows before that time are judged by the version before, those from it
on by the new one, whenever they come and however they are portioned: a state is handed over exactly when all rows
before the time were applied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from agents.engine.episodes import Records
from agents.engine.key import Setting
from agents.engine.keystore import KeyStore
from agents.engine.kinds import key_for
from agents.engine.newvalues import NewValues
from agents.engine.waiting import Waiting
from agents.rules.model import Rule
from agents.rules.own import Absence, NewValue
from schemas.headers import NEVER

Tell = Callable[[str, Records], None]  # gets a group key and what is said of it


class RuleState:
    """State of one rule in one bucket.

    Args:
        rule: The version in force first.
        setting: What its keys share.
        hot_keys: See `KeyStore`.
        start: Event time from which it is in force, microseconds UTC; `NEVER` for since ever.
    """

    __slots__ = (
        "_hot_keys", "coming", "expected", "expecting", "keys", "passed", "rule", "seen", "setting", "since", "single",
        "start", "waiting",
    )  # fmt: skip

    def __init__(self, rule: Rule, setting: Setting, hot_keys: int, start: int = NEVER) -> None:
        self.setting, self._hot_keys = setting, hot_keys
        self.waiting = Waiting()
        self.start = start
        self.coming: list[tuple[int, Rule | None]] = []  # next versions by their start; None: the rule goes
        self.passed = start  # watermark reached: an older row comes from a source that was told to be past it
        self._begin(rule, start)

    def _begin(self, rule: Rule, since: int) -> None:
        """Be a rule's state that nothing is known in."""
        self._is(rule)
        self.since = since  # what came before was not looked at: times of learning count from here
        self.keys = KeyStore(partial(key_for, self.setting), self._hot_keys)
        self.seen = NewValues(rule.own if isinstance(rule.own, NewValue) else NewValue())
        self.expecting = False  # of an absence: the expected keys are there

    def _is(self, rule: Rule) -> None:
        self.rule = self.setting.rule = rule
        self.single = rule.kind == "single"
        self.expected = rule.own.expect if isinstance(rule.own, Absence) else None

    @property
    def limits(self) -> Mapping[str, int]:
        """What it could not do since it was made, by name; all of it can only miss.

        `left_early`: rows that left a window, or values that a period did not count, because no more are kept.
        `new_values_missed`: values that were not reported because no more can be known. `coverage_gaps`: deadlines of
        expected keys of which nothing can be said, because a source was absent.
        """
        return {
            "left_early": self.setting.early,
            "new_values_missed": self.seen.missed,
            "coverage_gaps": self.setting.gaps,
        }

    def as_of(self, t: int) -> Rule | None:
        """The version that judges rows of an event time; None where the rule is gone by then."""
        found: Rule | None = self.rule
        for start, rule in self.coming:
            if t >= start:
                found = rule
        return found

    def latest(self) -> Rule | None:
        """The newest version announced; None where the rule goes."""
        return self.coming[-1][1] if self.coming else self.rule

    def reach(self, passed: int) -> bool:
        """Be, still empty, the version in force at a watermark that was saved; False where the rule is gone by then."""
        while self.coming and self.coming[0][0] <= passed:
            self.start, rule = self.coming.pop(0)
            if rule is not None:
                self._begin(rule, self.start)
            elif not self._returns():
                return False
        return True

    def _returns(self) -> bool:
        """Be, empty, the version in which a rule that has gone comes back; False where there is none."""
        if not self.coming:
            return False
        self.start, rule = self.coming.pop(0)
        assert rule is not None
        self._begin(rule, self.start)
        self.passed = max(self.passed, self.start)
        return True

    def succeed(self, tell: Tell) -> tuple[bool, list[str]]:
        """Hand over to the next version: all rows before its start are applied, none from it on.

        Windows, values known and open episodes go on where the new version's shape allows it: an episode that is open
        ends where its condition does not hold under the new limits. Where it does not, open episodes end here.

        Args:
            tell: For what the version before says last.

        Returns:
            False where the rule is gone, and sentences that say what was dropped.
        """
        start, rule = self.coming.pop(0)
        at = max(start, self.passed)  # announced too late, it follows when it is heard of
        if rule is None:
            said = self._end_all(at, tell, "is gone")
            return self._returns(), said
        self.start = start
        if _takes_over(self.rule, rule):
            self._go_on(rule, at, tell)
            return True, []
        said = self._end_all(at, tell, "counts in another way")
        self._begin(rule, at)
        return True, said

    def _end_all(self, at: int, tell: Tell, why: str) -> list[str]:
        for group_key in list(self.keys.group_keys()) if self.expected is not None else self.keys.watched():
            self._end(group_key, at, tell)
        lost = len(self.keys) + len(self.seen)
        return [f"rule {self.rule.id} {why} from {at} on: the state of {lost} keys is dropped"] if lost else []

    def _end(self, group_key: str, at: int, tell: Tell) -> None:
        made: Records = []
        self.keys.find(group_key, at).cut(at, made)
        if made:
            tell(group_key, made)

    def _go_on(self, rule: Rule, at: int, tell: Tell) -> None:
        """The same keys under a rule of the same shape."""
        before = self.rule
        if isinstance(rule.own, Absence):
            for group_key in [g for g in self.keys.group_keys() if g not in rule.own.expect]:
                self._end(group_key, at, tell)
                self.keys.drop(group_key)
            self.expecting = False  # there may be new ones
        self.keys.renew()
        self._is(rule)
        known = self.seen.save()
        self.seen = NewValues(rule.own if isinstance(rule.own, NewValue) else NewValue())
        self.seen.load(known)
        for group_key in self.keys.watched():
            if not self.keys.find(group_key, at).meets(at):
                # It is the version before whose limits the episode had met: that is what its record says.
                self._is(before)
                self._end(group_key, at, tell)
                self._is(rule)


def _takes_over(before: Rule, after: Rule) -> bool:
    """True where the saved windows of one version are good for another, and are kept at the same place."""
    kept_by = (before.root, before.root_by) == (after.root, after.root_by)
    return kept_by and before.shape == after.shape
