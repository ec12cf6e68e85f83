"""What a rule is, once it has been read: frozen values that detect and correlate work from.

A **detection** is stateless: it says of one event whether it matches. A **rule** is the one thing that can make
violations: a Sigma correlation over detections, one of our own kinds where Sigma has none, or a detection by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from agents.rules.columns import VISITS
from agents.rules.own import Absence, Concurrent, OwnKind, Quota, Spike, When
from schemas.kinds import EventKind

VALUE_SEPARATOR = "\x1f"  # between class, group and value inside one counted value; never in a log field
RULE_KINDS = (
    "event_count",
    "value_count",
    "value_sum",
    "value_avg",
    "value_median",
    "value_percentile",
    "temporal",
    "temporal_ordered",
    "new_value",
    "sequence",
    "concurrent",
    "travel",
    "spike",
    "absence",
    "single",
)
TOGETHER = ("temporal", "temporal_ordered")  # their value is how many different parts are there
NUMERIC_KINDS = ("value_sum", "value_avg", "value_median", "value_percentile")
COUNTED_ONCE = frozenset({"event_count", "value_count", *NUMERIC_KINDS})  # an event that several detections match
EVERY_VISIT = "all"  # of `visits`: a steady beat counts, too: what is looked for is a machine
VICTIM = "victim"  # of `about`: its group key names whom it was done to
WINDOWS = ("sliding", "tumbling", "session")
TRAVEL_COLUMNS = ("source_geo_latitude", "source_geo_longitude", "source_ip", "source_is_proxy", "source_site")

Presence = str | tuple[str, "Presence"] | tuple[str, "Presence", "Presence"]
"""Which rules of a `temporal` correlation must be there: a rule's name, ("not", x), ("and", x, y) or ("or", x, y)."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One Sigma detection rule: the stateless part.

    Attributes:
        name: Sigma `name`, what correlations refer to it by.
        kind: Events that it looks at, from the rule's `logsource`.
        title: Sigma title.
        expression: Compiled condition (`agents.rules.compiled.Compiled`); opaque to all but detect.
        columns: Columns that the condition reads, derived ones included.
        leans_on: Checksum of the lists that it names and of what pipelines make of it; empty where that is nothing.
        condition: Checksum of which events it matches; see `agents.rules.digests.condition_of`.
        file: File that it stands in.
        line: Its first line, from 1.
    """

    name: str
    kind: EventKind
    title: str
    expression: object = field(compare=False, repr=False)
    columns: frozenset[str] = frozenset()
    leans_on: str = ""
    condition: str = ""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Threshold:
    """One range of a measure. The rule's condition holds while any of its thresholds does.

    Attributes:
        name: Name that a violation lists it by.
        gte: What it takes, at least; minus infinity for a condition that has only an upper limit.
        lte: At most; infinity for none. What is below a limit without reaching it is the number next to it.
        neq: A value that does not count; None for none.
        where: Only values of this class count (the part before the first `VALUE_SEPARATOR`); None: all.
        per: `message`: distinct values are counted for each message by itself (class and recipient together, the
            message being the part between the separators) and the highest count is taken; None: over the window.
    """

    name: str
    gte: float
    where: str | None = None
    per: str | None = None
    lte: float = inf
    neq: float | None = None

    @property
    def shown(self) -> float:
        """The limit as a violation lists it: the lower one, else the upper one, else what it must not be."""
        limit = self.gte if self.gte > -inf else self.lte
        if limit == inf:
            return inf if self.neq is None else self.neq
        return float(f"{limit:.12g}")  # `lt: 2` is kept as the number next to 2

    def holds(self, measure: float) -> bool:
        """True where the measure is within the range."""
        return self.gte <= measure <= self.lte and measure != self.neq


@dataclass(frozen=True, slots=True)
class Alias:
    """A Sigma correlation alias: a name for what is called differently in different detections.

    Attributes:
        name: What `group-by` says, and the name in the group key.
        base: Detection that it is meant for.
        column: The column in that detection's events.
    """

    name: str
    base: str
    column: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can make violations.

    Attributes:
        id: Sigma `name`, stable for ever: part of every violation's id.
        version: 12 hexadecimal digits of a hash of all documents it is made of, examples left out.
        title: Sigma title.
        description: In our own words.
        clause: Clause of the district's policy, 1 to 13; 0 for none.
        severity: Sigma level: informational, low, medium, high or critical.
        kind: One of `RULE_KINDS`. `single`: every detection row is a violation by itself, no window.
        bases: Names of its detections in the order of the rule; of a sequence the order in time.
        kinds: Kinds of events it reads: its watermark waits for their sources.
        group_by: Columns (or aliases) that the window is kept per; every one must have a value.
        timespan_us: Length of the window (t - timespan, t], microseconds; 0 for `single` and `new_value`.
        window: `sliding`: (t - timespan, t]. `tumbling`: from one multiple of the time span since 1970 UTC to the next.
            `session`: as long as no more than the time span passes between two rows.
        lasting_us: The condition holds only where first and newest row of the window are so far apart, microseconds.
        presence: Of `temporal`: which of its bases must be there; None: all of them.
        percentile: Of `value_percentile`: 0 to 100, interpolated between the two nearest values.
        inner: Bases that are rules: rows of them are their episodes, at the time at which those open.
        asked: Checksum of what an event must be to be a row of it; see `agents.rules.digests.asked_of`.
        root: Id of the rule at the end of the chains that it is part of, the first by name of several; itself where it
            is part of none.
        root_by: What the rules at the ends of those chains are all grouped by: all their rows are kept together by it.
        silent: True where its episodes are for the next rule of the chain alone.
        suppress_us: After an episode none opens for the same key for so long, microseconds.
        rearm_us: After an episode none opens until the condition has not held for so long, microseconds, counted from
            the last row at which it held.
        thresholds: Any of them holding makes the condition hold; all that were passed are listed. A sequence has one,
            over the rows of its first base; `temporal`, `temporal_ordered`, `single` and `new_value` have none.
        counts: Sequence: how many of each base, in order, e.g. (8, 1). Empty otherwise.
        value_field: Column whose distinct values are counted, or whose numbers are summed; None for the other kinds.
        value_with: Further columns of a count of distinct values: what is counted is all of them together.
        visits: Of a count of visits: `all` where a steady beat is no single one; else empty.
        learn_us: New values: how long, from the earliest event of its sources, values are learned and nothing is
            reported, microseconds; 0 for none. Ask `learning_us`, which knows about the inventory.
        learn_unless_inventory: True where a district with an inventory needs no learning.
        informational_when: Bases whose rows make an episode informational: it is one while all its rows are of them.
        attributed: It needs to know whose device an address was: its rows go by the lane `attributed`.
        permit_tolerance: Counted values (rows, where none are counted) of an episode that may lie outside a permit's
            time and the permit still covers the episode.
        innocent_causes: What else may look like this.
        aliases: Sigma aliases.
        own: What a kind of our own, or a quota on one of Sigma's, asks for.
        when: Part of the calendar that its rows must be in; None: any time.
        about: `VICTIM` where its group key names whom it was done to and not who did it; else empty.
        shadow: True where its violations are for the books alone: nobody is notified.
        examples: Raw example mappings, read by `agents.rules.examples`.
        file: File that it stands in.
        line: First line of its document, from 1.
    """

    id: str
    version: str
    title: str
    description: str
    clause: int
    severity: str
    kind: str
    bases: tuple[str, ...]
    kinds: frozenset[EventKind]
    group_by: tuple[str, ...]
    timespan_us: int = 0
    window: str = "sliding"
    lasting_us: int = 0
    presence: Presence | None = None
    percentile: float = 0.0
    inner: frozenset[str] = frozenset()
    asked: str = ""
    root: str = ""
    root_by: tuple[str, ...] = ()
    silent: bool = False
    suppress_us: int = 0
    rearm_us: int = 0
    thresholds: tuple[Threshold, ...] = ()
    counts: tuple[int, ...] = ()
    value_field: str | None = None
    value_with: tuple[str, ...] = ()
    visits: str = ""
    learn_us: int = 0
    learn_unless_inventory: bool = False
    informational_when: frozenset[str] = frozenset()
    attributed: bool = False
    permit_tolerance: int = 0
    innocent_causes: tuple[str, ...] = ()
    aliases: tuple[Alias, ...] = ()
    own: OwnKind | None = None
    when: When | None = None
    about: str = ""
    shadow: bool = False
    examples: tuple[Mapping[str, Any], ...] = field(default=(), compare=False, repr=False)
    file: str = ""
    line: int = 0

    def same_as(self, other: Rule | None) -> bool:
        """True where another rule judges like this one; where they stand makes no difference."""
        return other is not None and self == replace(other, file=self.file, line=self.line)

    @property
    def value_columns(self) -> tuple[str, ...]:
        """Columns whose values are counted or summed."""
        return () if self.value_field is None else (self.value_field, *self.value_with)

    @property
    def counts_visits(self) -> bool:
        """True where distinct values are visits or minutes, which a steady beat is none of."""
        return self.kind == "value_count" and self.value_field in VISITS

    def only_informs(self, base: str) -> bool:
        """True where a row of a base is no ground for a violation: of an informational rule none is."""
        return self.severity == "informational" or base in self.informational_when

    @property
    def lane(self) -> str:
        """Lane of its detection rows: `attributed` or `immediate`."""
        return "attributed" if self.attributed else "immediate"

    def learning_us(self, *, inventory: bool) -> int:
        """Microseconds of learning in a district that has an inventory, or has none."""
        return 0 if inventory and self.learn_unless_inventory else self.learn_us

    def kept_by(self, group_key: str) -> tuple[str, str]:
        """What decides where rows of a key are kept: of a chain its root and what `root_by` says of the key (JSON)."""
        if not self.root or (self.root == self.id and self.root_by == self.group_by):
            return self.id, group_key
        return self.root, part_of(group_key, self.root_by)

    @property
    def row_columns(self) -> tuple[str, ...]:
        """Columns beside the group key that make up what a row counts."""
        found = list(self.value_columns)
        if isinstance(self.own, Concurrent):
            found += [c for c in (self.own.id, self.own.seconds) if c]
        if self.kind == "travel":
            found += TRAVEL_COLUMNS
        if self.when is not None and self.when.named == "bell":
            found.append("source_site")
        return tuple(found)

    @property
    def row_shape(self) -> dict[str, Any]:
        """What saved rows depend on: with another they are not this rule's."""
        return {"bases": sorted(set(self.bases)), "group-by": list(self.group_by), "columns": list(self.row_columns)}

    @property
    def shape(self) -> dict[str, Any]:
        """What saved windows depend on. Limits, counts, suppression and the like may change without harm."""
        own: list[Any] = []
        if isinstance(self.own, Quota):
            own = [self.own.per]
        elif isinstance(self.own, Spike):
            own = [self.own.per, self.own.periods]
        elif isinstance(self.own, Absence):
            own = [self.own.within_us, self.own.by]
        elif isinstance(self.own, Concurrent):
            own = sorted(self.own.ends)
        span = {"kind": self.kind, "timespan": self.timespan_us, "window": self.window}
        return self.row_shape | span | {"own": own, "condition": self.asked}

    def column_of(self, name: str, base: str) -> str:
        """Column that a group-by name stands for in the events of a detection."""
        return next((a.column for a in self.aliases if a.name == name and a.base == base), name)


def part_of(group_key: str, names: tuple[str, ...]) -> str:
    """Some members of a group key, as a group key: a JSON object, keys sorted, without spaces."""
    whole = json.loads(group_key)
    part = {name: whole[name] for name in sorted(names)}
    return json.dumps(part, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules in force, and the detections that they are made of.

    Attributes:
        rules: Ordered by id.
        detections: Ordered by name; every base of every rule is among them.
        version: 12 hexadecimal digits over all rules' ids and versions.
    """

    rules: tuple[Rule, ...]
    detections: tuple[Detection, ...]
    version: str

    def rule(self, rule_id: str) -> Rule:
        """The rule of an id.

        Raises:
            KeyError: there is none.
        """
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise KeyError(rule_id)

    def detection(self, name: str) -> Detection:
        """The detection of a name.

        Raises:
            KeyError: there is none.
        """
        for detection in self.detections:
            if detection.name == name:
                return detection
        raise KeyError(name)

    def feeds(self, kind: EventKind) -> Iterator[tuple[Rule, Detection]]:
        """Every (rule, base) that reads events of a kind, in a fixed order."""
        for rule in self.rules:
            for base in dict.fromkeys(rule.bases):  # an order may name one twice; its rows come once
                if base in rule.inner:
                    continue
                detection = self.detection(base)
                if detection.kind is kind:
                    yield rule, detection
