"""A rule as ClickHouse SQL over the tables of events, so that an analyst can run it over the past.

The query gives what the engine would, over the same events: for a rule without a window one row a matched event, else
one an episode, with its first and last event, its count and the highest value. What cannot be said in SQL is refused in
words, never left out: attribution of an address to a device, chains, permits (they change a status, not an episode).
"""

# ruff: noqa: S608 - writing queries is what this module is for; every text in them is quoted by `quoted`
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.rules.columns import ColumnType, column_types, identity_columns
from agents.rules.compiled import Compiled
from agents.rules.convert_keys import Keys
from agents.rules.convert_values import Conditions, Unsayable, columns_asked, quoted
from agents.rules.convert_windows import KINDS, Windows
from agents.rules.logsources import Route
from agents.rules.model import NUMERIC_KINDS, Detection, Rule, RuleSet
from schemas.errors import RuleError
from schemas.kinds import EventKind

# Whatever else a rule may ask for, now or later, is refused where it is set: nothing is left out in silence.
_SAID = frozenset(
    "id version title description clause severity kind bases kinds group_by timespan_us window lasting_us presence "
    "percentile inner root root_by silent suppress_us rearm_us thresholds counts value_field learn_us "
    "learn_unless_inventory informational_when attributed permit_tolerance innocent_causes aliases examples file line "
    "shadow".split()
)


@dataclass(frozen=True)
class Converter:
    """Writes rules as queries.

    Attributes:
        rules: The rules.
        district: Mail domains and sites.
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
            return self._query(rule)
        except RuleError as error:
            where = error.where or f"{rule.file}:{rule.line}"
            raise Unsayable(f"rule {rule.id}: {error.what}", where=where, hint=error.hint) from error

    def _query(self, rule: Rule) -> str:
        self._refuse(rule)
        matched = ("matched", self.matched(rule))
        keys = tuple(f"key_{i}" for i in range(1, len(rule.group_by) + 1))
        named = "map(" + ", ".join(f"{quoted(n)}, {k}" for n, k in zip(rule.group_by, keys, strict=True)) + ")"
        if rule.kind == "single":
            body = f"{_head(rule, named)}\nFROM matched\nORDER BY t, event_id"
            return _written(rule, [matched], body)
        if rule.kind == "new_value":
            return self._new_values(rule, matched, keys, named)
        made = Windows(rule, keys)
        parts = [matched, *made.parts()]
        part = ", ".join(keys if rule.window == "sliding" else (*keys, "segment"))
        value = "" if rule.kind in ("temporal_ordered", "sequence") else "highest AS value, "
        body = (
            f"SELECT {quoted(rule.id)} AS rule_id, {named} AS group_key, {_time('a.t')} AS first_seen, "
            f"{_time('b.t')} AS last_seen, {_time('opened_at')} AS opened_at, {_time('closed_at')} AS closed_at,\n"
            f"    toUInt64(last_n - first_n + 1) AS count, {value}a.event_id AS first_event, b.event_id AS last_event\n"
            f"FROM (SELECT *, toUInt64(first_n) AS n FROM episodes) AS e\n"
            f"INNER JOIN numbered AS a USING ({part}, n)\n"
            f"INNER JOIN (SELECT {part}, n AS last_n, t, event_id FROM numbered) AS b USING ({part}, last_n)\n"
            f"ORDER BY first_seen, first_event"
        )
        return _written(rule, parts, body)

    def _refuse(self, rule: Rule) -> None:
        if rule.kind not in KINDS | {"single", "new_value"}:
            raise Unsayable(f"kind {rule.kind} cannot be said in SQL")
        if rule.inner:
            raise Unsayable(f"it is built on other correlations ({', '.join(sorted(rule.inner))}): convert those")
        for one in fields(rule):
            if one.name not in _SAID and getattr(rule, one.name) not in (one.default, None):
                raise Unsayable(f"`{one.name.replace('_', '-')}` cannot be said in SQL")

    def matched(self, rule: Rule) -> str:
        """The matched rows of all bases: `t` (microseconds), `event_id`, `base`, `key_1` …, `number`, `vals`."""
        bases = list(dict.fromkeys(rule.bases))
        return "\n    UNION ALL\n    ".join(self._base(rule, self.rules.detection(name)) for name in bases)

    def _base(self, rule: Rule, base: Detection) -> str:
        kind = base.kind
        keys = Keys(self.district, self.inventory)
        where = Conditions(kind, keys.derived(kind))
        columns = [rule.column_of(name, base.name) for name in rule.group_by]
        self._known_device(kind, {*columns, *([rule.value_field] if rule.value_field else [])})
        selected = ["toUnixTimestamp64Micro(timestamp) AS t", "event_id", f"{quoted(base.name)} AS base"]
        made = [keys.of(kind, c, where.column(c)) for c in columns]
        selected += [f"assumeNotNull({sql}) AS key_{i}" for i, sql in enumerate(made, 1)]
        tests = [*self._between(), *_routed(base), f"({self.condition(base)})", *(f"isNotNull({sql})" for sql in made)]
        number, values = "0", "['']"
        if rule.kind != "single":
            tests.insert(0, "NOT late AND NOT time_suspect")
        if rule.kind in NUMERIC_KINDS and rule.value_field:
            column = where.column(rule.value_field)
            number = f"assumeNotNull(toFloat64({column}))"
            tests.append(f"isNotNull({column})")
        elif rule.kind == "value_count" and rule.value_field:
            values, test = self._counted(kind, rule.value_field, keys, where)
            tests.append(test)
        selected += [f"toFloat64({number}) AS number", f"{values} AS vals"]
        # In a query of its own: an alias must not be taken for a column of the same name by the conditions.
        lines = ",\n        ".join(selected)
        conditions = "\n        AND ".join(tests)
        return f"SELECT\n        {lines}\n    FROM {self.prefix}{kind.value} FINAL\n    WHERE {conditions}"

    @staticmethod
    def _counted(kind: EventKind, column: str, keys: Keys, where: Conditions) -> tuple[str, str]:
        sql = where.column(column)
        if column_types(kind)[column] is ColumnType.TEXTS:
            return sql, f"notEmpty({sql})"
        made = keys.of(kind, column, sql)
        return f"[assumeNotNull({made})]", f"isNotNull({made})"

    def condition(self, base: Detection) -> str:
        """The condition of a detection.

        Raises:
            RuleError: a part of it cannot be said.
        """
        compiled = base.expression
        if not isinstance(compiled, Compiled) or compiled.sigma is None:
            raise Unsayable(f"the condition of {base.name} is not at hand")
        writer = Conditions(base.kind, Keys(self.district, self.inventory).derived(base.kind))
        trees = [tree for c in compiled.sigma.detection.parsed_condition if (tree := c.parsed) is not None]
        self._known_device(base.kind, {column for tree in trees for column in columns_asked(tree)})
        return " OR ".join(writer.of(tree) for tree in trees)

    @staticmethod
    def _known_device(kind: EventKind, columns: set[str]) -> None:
        waiting = sorted(columns & identity_columns(kind))
        if waiting:
            what = f"{waiting[0]} needs to know whose device an address was, which no table of events says"
            raise Unsayable(what, hint="look with `aupstream backtest` instead")

    def _between(self) -> list[str]:
        tests = [f"timestamp >= {_literal(self.start)}"] if self.start else []
        return [*tests, *([f"timestamp < {_literal(self.end)}"] if self.end else [])]

    def _new_values(self, rule: Rule, matched: tuple[str, str], keys: Sequence[str], named: str) -> str:
        learn = rule.learning_us(inventory=self.inventory.present)
        tests = " AND ".join(["NOT late AND NOT time_suspect", *self._between()])
        tables = " UNION ALL ".join(
            f"SELECT min(toUnixTimestamp64Micro(timestamp)) AS t FROM {self.prefix}{kind.value} "
            f"WHERE {tests} HAVING count() > 0"
            for kind in sorted(rule.kinds, key=str)
        )
        window = f"PARTITION BY {', '.join(keys)} ORDER BY t, event_id, base"
        firsts = f"SELECT *, row_number() OVER ({window}) AS n FROM matched"
        body = (
            f"{_head(rule, named)}\n"
            f"FROM firsts WHERE n = 1 AND t >= (SELECT min(t) FROM earliest) + {learn}\nORDER BY t, event_id"
        )
        return _written(rule, [matched, ("earliest", tables), ("firsts", firsts)], body)


def _routed(base: Detection) -> list[str]:
    compiled = base.expression
    route = compiled.route if isinstance(compiled, Compiled) else None
    made = []
    if isinstance(route, Route) and route.only:
        made.append(f"event_dataset IN ({', '.join(map(quoted, sorted(route.only)))})")
    if isinstance(route, Route) and route.never:
        made.append(f"event_dataset NOT IN ({', '.join(map(quoted, sorted(route.never)))})")
    return made


def _head(rule: Rule, named: str) -> str:
    return (
        f"SELECT {quoted(rule.id)} AS rule_id, {named} AS group_key, {_time('t')} AS first_seen, "
        "event_id AS first_event"
    )


def _time(micros: str) -> str:
    return f"fromUnixTimestamp64Micro(toInt64({micros}), 'UTC')"


def _literal(when: datetime) -> str:
    return f"toDateTime64('{when:%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"


def _written(rule: Rule, parts: Sequence[tuple[str, str]], body: str) -> str:
    head = f"-- {rule.id} {rule.version}: {' '.join(rule.title.split())}\n"
    return head + "WITH\n" + ",\n".join(f"{name} AS (\n    {sql}\n)" for name, sql in parts) + f"\n{body}"
