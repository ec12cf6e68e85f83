"""Matched rows of a rule as a ClickHouse query over the tables of events: what detect hands on, in SQL."""

# ruff: noqa: S608 - writing queries is what this module is for; every text in them is quoted by `quoted`
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.rules.columns import ColumnType, column_types, identity_columns
from agents.rules.compiled import Compiled, Tree
from agents.rules.convert_identity import attributed, leases
from agents.rules.convert_keys import Keys
from agents.rules.convert_places import place_of
from agents.rules.convert_senders import OF_SENDERS, with_senders
from agents.rules.convert_values import Conditions, Unsayable, columns_asked, quoted
from agents.rules.convert_whens import inside
from agents.rules.logsources import Route
from agents.rules.model import NUMERIC_KINDS, Detection, Rule
from agents.rules.own import Concurrent, Travel
from schemas.kinds import EventKind

_NOTHING = "['']"
NO_KEY = "'' AS key_1"  # of a rule without `group-by`: all rows have the same


@dataclass(frozen=True)
class Rows:
    """Writes matched rows over the tables of one district.

    Attributes:
        district: Mail domains, sites and calendar.
        inventory: Known devices.
        start: Only events from then on; None: all.
        end: Only events before; None: all.
        prefix: Of the names of the tables.
    """

    district: District
    inventory: Inventory
    start: datetime | None = None
    end: datetime | None = None
    prefix: str = "events_"

    def of(self, rule: Rule, base: Detection) -> str:
        """Rows of one base: `t` (microseconds), `event_id`, `base`, the keys, `number`, `vals`.

        Raises:
            Unsayable: a part of it has no word in SQL.
        """
        kind = base.kind
        keys, where = Keys(self.district, self.inventory), self._conditions(kind)
        columns = [rule.column_of(name, base.name) for name in rule.group_by]
        made = [keys.of(kind, c, where.column(c)) for c in columns]
        number, values, tests = self._counted(rule, base, keys, where)
        if rule.kind != "single":
            tests.append("NOT late AND NOT time_suspect")
        if rule.when is not None and rule.kind != "absence":
            tests.append(inside(rule.when, self.district.calendar, where))
        tests += [*self._between(), *_routed(base), f"({self.condition(base)})", *(f"isNotNull({sql})" for sql in made)]
        selected = ["toUnixTimestamp64Micro(timestamp) AS t", "event_id", f"{quoted(base.name)} AS base"]
        selected += [f"assumeNotNull({sql}) AS key_{i}" for i, sql in enumerate(made, 1)] or [NO_KEY]
        selected += [f"toFloat64({number}) AS number", f"{values} AS vals"]
        # In a query of its own: an alias must not be taken for a column of the same name by the conditions.
        lines = ",\n        ".join(selected)
        conditions = "\n        AND ".join(tests)
        return f"SELECT\n        {lines}\n    FROM {self._table(rule, base)}\n    WHERE {conditions}"

    def condition(self, base: Detection) -> str:
        """The condition of a detection, over a table that says whose device an address was where it asks for that.

        Raises:
            Unsayable: a part of it has no word in SQL.
        """
        writer = self._conditions(base.kind)
        return " OR ".join(writer.of(tree) for tree in _trees(base))

    def bounds(self, rule: Rule) -> str:
        """The earliest and the latest event of each kind that a rule reads and that has any, matched or not."""
        tests = " AND ".join(["NOT late AND NOT time_suspect", *self._between()])
        t = "toUnixTimestamp64Micro(timestamp)"
        return " UNION ALL ".join(
            f"SELECT min({t}) AS earliest, max({t}) AS latest FROM {self.prefix}{kind.value} "
            f"WHERE {tests} HAVING count() > 0"
            for kind in sorted(rule.kinds, key=str)
        )

    def _conditions(self, kind: EventKind) -> Conditions:
        return Conditions(kind, Keys(self.district, self.inventory).derived(kind))

    def _table(self, rule: Rule, base: Detection) -> str:
        asked = {rule.column_of(name, base.name) for name in rule.group_by} | set(rule.row_columns)
        asked |= {column for tree in _trees(base) for column in columns_asked(tree)}
        table = f"{self.prefix}{base.kind.value}"
        if base.kind is EventKind.MAIL and asked & OF_SENDERS:
            return with_senders(table, self.district, Keys(self.district, self.inventory).internal)
        if not asked & identity_columns(base.kind):
            return f"{table} FINAL"
        until = [f"timestamp < {_literal(self.end)}"] if self.end else []
        return attributed(table, leases(f"{self.prefix}{EventKind.DHCP.value}", until))

    def _counted(self, rule: Rule, base: Detection, keys: Keys, where: Conditions) -> tuple[str, str, list[str]]:
        """Number and values of a row, and what it must have to count."""
        kind, own, column = base.kind, rule.own, rule.value_field
        if isinstance(own, Travel):
            return place_of(own, self.district, kind, where)
        if column is None:
            return "0", _NOTHING, []
        sql = where.column(column)
        if isinstance(own, Concurrent):
            return _session(own, base, (keys, where), keys.of(kind, column, sql))
        if rule.kind in NUMERIC_KINDS:
            return f"assumeNotNull(toFloat64({sql}))", _NOTHING, [f"isNotNull({sql})"]
        if column_types(kind)[column] is ColumnType.TEXTS:
            return "0", sql, [f"notEmpty({sql})"]
        made = [keys.of(kind, name, where.column(name)) for name in rule.value_columns]
        sure = [f"assumeNotNull({one})" for one in made]
        whole = sure[0] if len(sure) == 1 else f"concat({', char(31), '.join(sure)})"
        return "0", f"[{whole}]", [f"isNotNull({one})" for one in made]

    def _between(self) -> list[str]:
        tests = [f"timestamp >= {_literal(self.start)}"] if self.start else []
        return [*tests, *([f"timestamp < {_literal(self.end)}"] if self.end else [])]


def _session(
    own: Concurrent, base: Detection, writers: tuple[Keys, Conditions], place: str
) -> tuple[str, str, list[str]]:
    """Length in seconds (-1: not said), place and session. The end of a session needs no place, its begin no name."""
    keys, where = writers
    name = keys.of(base.kind, own.id, where.column(own.id)) if own.id else "CAST(NULL AS Nullable(String))"
    seconds = f"ifNull(toFloat64({where.column(own.seconds)}), -1)" if own.seconds else "-1"
    needed = name if base.name in own.ends else place
    return seconds, f"[ifNull({place}, ''), ifNull({name}, '')]", [f"isNotNull({needed})"]


def _trees(base: Detection) -> list[Tree]:
    compiled = base.expression
    if not isinstance(compiled, Compiled) or compiled.sigma is None:
        raise Unsayable(f"the condition of {base.name} is not at hand")
    return [tree for c in compiled.sigma.detection.parsed_condition if (tree := c.parsed) is not None]


def _routed(base: Detection) -> list[str]:
    compiled = base.expression
    route = compiled.route if isinstance(compiled, Compiled) else None
    made = []
    if isinstance(route, Route) and route.only:
        made.append(f"event_dataset IN ({', '.join(map(quoted, sorted(route.only)))})")
    if isinstance(route, Route) and route.never:
        made.append(f"event_dataset NOT IN ({', '.join(map(quoted, sorted(route.never)))})")
    return made


def _literal(when: datetime) -> str:
    return f"toDateTime64('{when:%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"
