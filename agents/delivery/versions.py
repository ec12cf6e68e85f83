"""Every version of every rule that correlate knows, by the event time from which it is in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agents.rules.model import Rule, RuleSet


class Versions:
    """A rule that is the same in two sets is one version, from the first one's start on."""

    def __init__(self) -> None:
        self._sets: list[tuple[int, Mapping[str, Rule]]] = []
        self._starts: dict[tuple[str, int], Rule] = {}
        self._newest: dict[str, Rule | None] = {}

    @property
    def first(self) -> Mapping[str, Rule]:
        """The first set."""
        return self._sets[0][1]

    def follow(self, start: int, rules: RuleSet) -> None:
        """Take the next set.

        Args:
            start: Not before that of the set before, microseconds UTC.
            rules: All of them.
        """
        by_id = {rule.id: rule for rule in rules.rules}
        self._sets.append((start, by_id))
        for rule_id, rule in by_id.items():
            if not rule.same_as(self._newest.get(rule_id)):
                self._starts[rule_id, start] = rule
        self._newest = dict.fromkeys(self._newest) | by_id

    def at(self, rule_id: str, t: int) -> Rule | None:
        """The rule that judges rows of an event time."""
        for start, rules in reversed(self._sets):
            if start <= t:
                return rules.get(rule_id)
        return None

    def newest(self, rule_id: str) -> Rule:
        """The rule as it was last.

        Raises:
            KeyError: there never was one.
        """
        return next(rules[rule_id] for _, rules in reversed(self._sets) if rule_id in rules)

    def __iter__(self) -> Iterator[tuple[Rule, int]]:
        """Each version with its start, a rule's in order."""
        for (_, start), rule in self._starts.items():
            yield rule, start
