"""A rule as ClickHouse SQL over the tables of events, so that an analyst can run it over the past.

The query gives what the engine would, over the same events: for a rule without a window one row a matched event, else
one an episode, with its first and last event, its count and the highest value. What cannot be said in SQL is refused in
words, never left out. Permits are not looked at: they change a status, not an episode.
"""

# ruff: noqa: S608 - writing queries is what this module is for; every text in them is quoted by `quoted`
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.rules.convert_periods import Periods
from agents.rules.convert_rows import NO_KEY, Rows
from agents.rules.convert_sessions import Sessions
from agents.rules.convert_sights import Parts, absences, new_values
from agents.rules.convert_values import Unsayable, quoted
from agents.rules.convert_windows import KINDS, Windows
from agents.rules.model import NUMERIC_KINDS, Detection, Rule, RuleSet
from agents.rules.own import Quota, Spike
from schemas.errors import RuleError

# Whatever else a rule may ask for, now or later, is refused where it is set: nothing is left out in silence.
_SAID = frozenset(
    "id version title description clause severity kind bases kinds group_by timespan_us window lasting_us presence "
    "percentile inner asked root root_by silent suppress_us rearm_us thresholds counts value_field value_with learn_us "
    "learn_unless_inventory informational_when attributed permit_tolerance innocent_causes aliases own when examples "
    "file line shadow about".split()
)
_OTHER_KINDS = {"single", "new_value", "concurrent", "spike", "absence"}
_NO_VALUE = ("temporal_ordered", "sequence")


_LITERAL = r"'(?:[^'\\]|\\.)*'"  # a quoted text: nothing in it is a name


@dataclass(frozen=True)
class Converter:
    """Writes rules as queries.

    Attributes:
        rules: The rules.
        district: Mail domains, sites and calendar.
        inventory: Known devices.
        start: Only events from then on; None: all.
        end: Only events before; None: all.
        prefix: Of the names of the tables.
    """

    rules: RuleSet
    district: District = field(default_factory=District)
    inventory: Inventory = field(default_factory=Inventory.none)
    start: datetime | None = None
    end: datetime | None = None
    prefix: str = "events_"

    def rule(self, rule: Rule) -> str:
        """The query of a rule: without a semicolon, with a remark at its head.

        Raises:
            RuleError: a part of it cannot be said; where and what.
        """
        try:
            query = _written(*self._parts(rule))
        except RuleError as error:
            where = error.where or f"{rule.file}:{rule.line}"
            raise Unsayable(f"rule {rule.id}: {error.what}", where=where, hint=error.hint) from error
        return f"-- {rule.id} {rule.version}: {' '.join(rule.title.split())}\n{query}\nORDER BY first_seen, first_event"

    def condition(self, base: Detection) -> str:
        """The condition of a detection; see `agents.rules.convert_rows.Rows.condition`."""
        return self._rows.condition(base)

    def matched(self, rule: Rule) -> str:
        """The matched rows of all bases: `t` (microseconds), `event_id`, `base`, `key_1` …, `number`, `vals`."""
        made = []
        for name in dict.fromkeys(rule.bases):
            inner = name in rule.inner
            made.append(self._opened(rule, name) if inner else self._rows.of(rule, self.rules.detection(name)))
        return "\n    UNION ALL\n    ".join(made)

    def bounds(self, rule: Rule) -> str:
        """The earliest and the latest event of each kind that a rule reads; see `agents.rules.convert_rows`."""
        return self._rows.bounds(rule)

    @property
    def _rows(self) -> Rows:
        return Rows(self.district, self.inventory, self.start, self.end, self.prefix)

    def _opened(self, rule: Rule, name: str) -> str:
        """Episodes of a rule that another is built on, as rows at the time at which they open."""
        inner = self.rules.rule(name)
        if rule.kind in NUMERIC_KINDS and inner.kind in _NO_VALUE:
            raise Unsayable(f"{inner.id} measures nothing that {rule.kind} could take")
        number = "toFloat64(value)" if rule.kind in NUMERIC_KINDS else "toFloat64(0)"
        counted = [f"group_key[{quoted(name)}]" for name in rule.value_columns if name in inner.group_by] or ["''"]
        values = f"[concat({', char(31), '.join(counted)})]" if len(counted) > 1 else f"[{counted[0]}]"
        keys = [f"group_key[{quoted(k)}] AS key_{i}" for i, k in enumerate(rule.group_by, 1)] or [NO_KEY]
        columns = ["toUnixTimestamp64Micro(opened_at) AS t", "first_event AS event_id", f"{quoted(inner.id)} AS base"]
        columns += [*keys, f"{number} AS number", f"{values} AS vals"]
        parts, body = _apart(*self._parts(inner), inner.id.replace("-", "_"))
        return f"SELECT {', '.join(columns)} FROM (\n{_written(parts, body)}\n)"

    def _parts(self, rule: Rule) -> tuple[Parts, str]:
        """Named queries, each over those before it, and the one that gives the rule's rows."""
        if rule.kind not in KINDS | _OTHER_KINDS:
            raise Unsayable(f"kind {rule.kind} cannot be said in SQL")
        for one in fields(rule):
            if one.name not in _SAID and getattr(rule, one.name) not in (one.default, None):
                raise Unsayable(f"`{one.name.replace('_', '-')}` cannot be said in SQL")
        keys = tuple(f"key_{i}" for i in range(1, max(1, len(rule.group_by)) + 1))
        named = "map(" + ", ".join(f"{quoted(n)}, {k}" for n, k in zip(rule.group_by, keys, strict=False)) + ")"
        named = named if rule.group_by else f"CAST({named} AS Map(String, String))"
        head = f"SELECT {quoted(rule.id)} AS rule_id, {named} AS group_key"
        parts: Parts = [("matched", self.matched(rule))]
        if rule.kind == "single":
            return parts, f"{head}, {_times('t', 't')}, event_id AS first_event\nFROM matched"
        if rule.kind in ("new_value", "absence"):
            parts.append(("bounds", self.bounds(rule)))
        if rule.kind == "new_value":
            parts += new_values(rule, keys, rule.learning_us(inventory=self.inventory.present))
            whole = f"{_times('t', 't')}, {_times('t', 't', 'opened_at', 'closed_at')}, toUInt64(1) AS count"
            events = "event_id AS first_event, event_id AS last_event"
            return parts, f"{head}, {whole}, toFloat64(1) AS value, {events}\nFROM told"
        if rule.kind == "absence":
            parts += absences(rule, keys, self.district.calendar.zone.key)
            return parts, _absent(head)
        return self._episodes(rule, keys, head, parts)

    def _episodes(self, rule: Rule, keys: tuple[str, ...], head: str, parts: Parts) -> tuple[Parts, str]:
        periods = isinstance(rule.own, Quota | Spike)
        if periods:
            parts += Periods(rule, keys, self.district.calendar.zone.key).parts()
        else:
            parts += (Sessions if rule.kind == "concurrent" else Windows)(rule, keys).parts()
        part = ", ".join(keys if rule.window == "sliding" and not periods else (*keys, "segment"))
        value = "" if rule.kind in _NO_VALUE else "highest AS value, "
        same = f"{part}, first_n, last_n, opened_at, closed_at, count, highest"
        joined = (
            f"SELECT {same}, minIf(t, n = first_n) AS first_t, minIf(t, n = last_n) AS last_t, "
            f"minIf(event_id, n = first_n) AS first_event, minIf(event_id, n = last_n) AS last_event\n"
            f"    FROM (SELECT *, arrayJoin([toUInt64(first_n), toUInt64(last_n)]) AS n FROM episodes) AS e\n"
            f"    INNER JOIN numbered USING ({part}, n)\n"
            f"    GROUP BY {same}"
        )
        times = f"{_times('first_t', 'last_t')}, {_times('opened_at', 'closed_at', 'opened_at', 'closed_at')}"
        return parts, f"{head}, {times},\n    count, {value}first_event, last_event\nFROM ({joined})"


def _absent(head: str) -> str:
    seconds = "toFloat64(ifNull(came - deadline, 0) / 1e6)"
    closed = "if(isNull(came), NULL, fromUnixTimestamp64Micro(toInt64(assumeNotNull(came)), 'UTC')) AS closed_at"
    return (
        f"{head}, {_times('deadline', 'ifNull(came, deadline)')}, {_time('deadline')} AS opened_at, {closed},\n"
        f"    toUInt64(0) AS count, {seconds} AS value, before_id AS first_event, after_id AS last_event\nFROM told"
    )


def _times(first: str, last: str, first_name: str = "first_seen", last_name: str = "last_seen") -> str:
    return f"{_time(first)} AS {first_name}, {_time(last)} AS {last_name}"


def _time(micros: str) -> str:
    return f"fromUnixTimestamp64Micro(toInt64({micros}), 'UTC')"


def _apart(parts: Parts, body: str, prefix: str) -> tuple[Parts, str]:
    """A query whose parts have names that no query around it has: of one name ClickHouse takes the outermost."""
    names = "|".join(name for name, _ in parts)
    place = re.compile(rf"{_LITERAL}|\b(FROM|JOIN) ({names})\b")

    def renamed(text: str) -> str:
        return place.sub(lambda m: f"{m[1]} {prefix}_{m[2]}" if m[2] else m[0], text)

    return [(f"{prefix}_{name}", renamed(sql)) for name, sql in parts], renamed(body)


def _written(parts: Sequence[tuple[str, str]], body: str) -> str:
    return "WITH\n" + ",\n".join(f"{name} AS (\n    {sql}\n)" for name, sql in parts) + f"\n{body}"
