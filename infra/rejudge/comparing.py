"""What judging again changes: pure, from the violations that stand and those that come out now."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.engine.episodes import Records

# The live road counts versions from 1; each judging again starts a million higher. So the two never meet in a version.
STEP = 1_000_000
WITHDRAWN = "withdrawn"
_SAME = ("status", "severity", "last_seen", "closed_at", "count", "value", "permit", "thresholds")
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """What is judged again.

    Attributes:
        start: First events' times from then on, microseconds UTC.
        end: First events' times before then, microseconds UTC.
        keys: Only what is about one of these: accounts, mail, MAC or IP addresses, lower case; none: everything.
        rules: Only these rules, by id; none: all.
    """

    start: int
    end: int
    keys: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()

    def holds(self, record: Record) -> bool:
        """True for a violation that may be changed."""
        inside = self.start <= record["first_seen"] < self.end and not record["timeline"]
        return inside and (not self.rules or record["rule_id"] in self.rules) and self._about(record)

    def _about(self, record: Record) -> bool:
        if not self.keys:
            return True
        shown = (value for e in record["evidence"] for value in json.loads(e["summary"]).values())
        return any(self.keys & _spelled(value) for value in (*record["group_key"].values(), *shown))


def _spelled(value: object) -> set[str]:
    """A value, and an address without its domain."""
    text = str(value).lower()
    return {text, text.partition("@")[0]}


@dataclass(slots=True)
class Outcome:
    """What is to be told; records as they go to the topic.

    Attributes:
        changed: New versions of violations that stay, but are not what they were.
        withdrawn: Last versions of violations that were none; `related` names what stands in their place.
        raised: Violations that nobody knew of; `related` names what they stand in place of.
        open: Ids of violations that are still going on: they are left as they are.
        unsettled: What comes out now is no answer: the events do not reach far enough to say how it ends, or those that
            it rested on are not among them. It is left as it is.
    """

    changed: Records = field(default_factory=list)
    withdrawn: Records = field(default_factory=list)
    raised: Records = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)

    @property
    def records(self) -> Records:
        """All of them, withdrawn ones first."""
        return [*self.withdrawn, *self.raised, *self.changed]


def compare(
    stored: Iterable[Record],
    judged: Iterable[Record],
    scope: Scope,
    *,
    covered: Callable[[str], int],
    there: Callable[[str], bool],
) -> Outcome:
    """Hold what stands against what comes out now.

    Args:
        stored: Newest versions of all violations, in the `violation` schema with times in microseconds UTC.
        judged: Last versions of what comes out of the same events now, likewise.
        scope: What may be changed.
        covered: Event time up to which all events of a rule are there, by its id; microseconds UTC.
        there: Whether an event was read, by its id. What rested on one that was not, because it is kept no longer or
            is not stored yet, cannot be judged: that nothing comes out of the rest proves nothing.
    """
    before, after = {r["id"]: r for r in stored}, {r["id"]: r for r in judged}
    outcome = Outcome()
    for name, old in before.items():
        new = after.get(name)
        if not scope.holds(old) and not (new is not None and scope.holds(new)):
            continue
        if old["state"] == "open":
            outcome.open.append(name)
        elif old["status"] != WITHDRAWN and not all(there(e["event_id"]) for e in old["evidence"]):
            outcome.unsettled.append(name)
        elif new is None and old["status"] != WITHDRAWN:
            outcome.withdrawn.append(_next(old, {**old, "status": WITHDRAWN}))
        elif new is not None and not _settled(new, covered):
            outcome.unsettled.append(name)
        elif new is not None and any(old[f] != new[f] for f in _SAME):
            outcome.changed.append(_next(old, {**new, "related": old["related"]}))
    for name, new in after.items():
        if name not in before and scope.holds(new):
            if _settled(new, covered):
                outcome.raised.append(dict(new))
            else:
                outcome.unsettled.append(name)
    _relate(outcome.withdrawn, outcome.raised)
    return outcome


def _settled(record: Record, covered: Callable[[str], int]) -> bool:
    return record["closed_at"] is not None and record["closed_at"] <= covered(record["rule_id"])


def _next(old: Record, new: Record) -> dict[str, Any]:
    """A record as the version after another, in the numbers of the next judging."""
    return {**new, "version": (old["version"] // STEP + 1) * STEP + new["version"] % STEP}


def _relate(withdrawn: Sequence[dict[str, Any]], raised: Sequence[dict[str, Any]]) -> None:
    """Let those name each other that are of one rule and rest on the same events, or on the same time."""
    for old in withdrawn:
        events = {e["event_id"] for e in old["evidence"]}
        same = [new for new in raised if new["rule_id"] == old["rule_id"]]
        found = [new for new in same if events & {e["event_id"] for e in new["evidence"]}]
        found = found or [
            n for n in same if n["first_seen"] <= old["last_seen"] and old["first_seen"] <= n["last_seen"]
        ]
        for new in found:
            old["related"] = [*old["related"], new["id"]]
            new["related"] = [*new["related"], old["id"]]
