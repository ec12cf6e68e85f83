"""What a correlation is grouped by and counts: field names and Sigma's aliases to columns of all rules it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agents.rules.columns import ColumnType, column_types
from agents.rules.fieldnames import FieldNames
from agents.rules.model import Alias, Detection, Rule
from agents.rules.shape import Checker, suggestion

Base = Detection | Rule
_GROUPED = (ColumnType.TEXT, ColumnType.NUMBER)


class GroupReader:
    """Reads the names of one rule.

    Args:
        check: Where errors go.
        fields: What field names stand for.
        bases: What the rule is made of.
    """

    def __init__(self, check: Checker, fields: FieldNames, bases: Sequence[Base]) -> None:
        self._check, self._fields, self._bases = check, fields, bases
        self._aliased: dict[str, set[str]] = {}  # rules that an alias names, rightly or not

    def aliases(self, part: Mapping[str, Any]) -> tuple[Alias, ...]:
        """The aliases of a correlation."""
        found = []
        for name, by_rule in self._check.mapping(part.get("aliases"), "correlation", "aliases").items():
            for rule, named in self._check.mapping(by_rule, "correlation", "aliases", name).items():
                self._aliased.setdefault(str(name), set()).add(str(rule))
                column = self._of_alias(str(name), str(rule), str(named))
                if column is not None:
                    found.append(Alias(str(name), str(rule), column))
        return tuple(found)

    def _of_alias(self, name: str, rule: str, named: str) -> str | None:
        place = ("correlation", "aliases", name, rule)
        base = next((b for b in self._bases if isinstance(b, Detection) and rule == b.name), None)
        columns = self._fields.columns(base, named) if base else ()
        if base is None or len(columns) != 1:
            what = f"alias {name!r} names rule {rule!r} and field {named!r}, which do not go together"
            hint = _several(columns) if base and columns else "name a rule listed above, and a field of its events"
            self._check.error(what, *place, hint=hint)
            return None
        return columns[0] if self._fits(columns[0], base, _GROUPED, place) else None

    def group_by(self, value: Any, *path: str) -> tuple[str, ...]:
        """Columns and aliases that a window is kept per; none: one window for all. Read `aliases` before."""
        if value == []:
            self._check.error("group-by names nothing", *path, hint="leave it out to keep one window for all")
        names = self._check.texts(value, *path)
        found: dict[str, str] = {}
        for i, name in enumerate(names):
            place: tuple[str | int, ...] = (*path, i) if isinstance(value, list) else path
            aliased = name in self._aliased
            column = self._alias(name, *place) if aliased else self.column(name, _GROUPED, *place)
            if column is None:
                continue
            if column in found:
                what = f"{name!r} is the same as {found[column]!r}: it is grouped by {column} already"
                self._check.error(what, *place, hint="name each once")
            found.setdefault(column, name)
        return tuple(found)

    def _alias(self, name: str, *place: str | int) -> str | None:
        """An alias, if every rule has something of that name."""
        before = len(self._check.errors)
        for base in self._bases:
            if name_of(base) in self._aliased[name] or self._column_of(base, name, _GROUPED, place, quiet=True) == name:
                continue
            what = f"alias {name!r} says nothing of {name_of(base)}, which has no column of that name"
            self._check.error(what, *place, hint=f"add `{name_of(base)}: FIELD` under aliases: {name}:")
        return name if len(self._check.errors) == before else None

    def column(self, name: str, allowed: tuple[ColumnType, ...], *place: str | int) -> str | None:
        """The one column that a field name stands for in every rule; None where there is none, which is noted."""
        found: set[str] = set()
        for base in self._bases:
            column = self._column_of(base, name, allowed, place)
            if column is None:
                return None
            found.add(column)
        if len(found) > 1:
            what = f"{name!r} means {' and '.join(sorted(found))}: not the same in all rules"
            self._check.error(what, *place, hint="give it an alias")
            return None
        return next(iter(found), None)

    def _column_of(
        self, base: Base, name: str, allowed: tuple[ColumnType, ...], place: Sequence[str | int], *, quiet: bool = False
    ) -> str | None:
        check = Checker(self._check.document, []) if quiet else self._check
        if isinstance(base, Rule):
            if name in base.group_by:
                return name
            what = f"{name!r} is not what {base.id} is grouped by ({', '.join(base.group_by)})"
            hint = "all rules of a chain are kept together by what the last one is grouped by"
            check.error(what, *place, hint=hint)
            return None
        columns = self._fields.columns(base, name)
        if len(columns) != 1:
            hint = _several(columns) if columns else suggestion(name, column_types(base.kind), most=12)
            what = f"{name!r} is mapped to several columns" if columns else f"there is no column {name!r}"
            check.error(f"{what} in {base.kind.value} events", *place, hint=hint)
            return None
        return columns[0] if self._fits(columns[0], base, allowed, place, check) else None

    def _fits(
        self,
        column: str,
        base: Detection,
        allowed: Sequence[ColumnType],
        place: Sequence[str | int],
        check: Checker | None = None,
    ) -> bool:
        kind = column_types(base.kind)[column]
        if kind in allowed:
            return True
        hint = f"take one that is {' or '.join(a.value for a in allowed)}"
        (check or self._check).error(f"column {column!r} is {kind.value} and cannot be used here", *place, hint=hint)
        return False


def name_of(base: Base) -> str:
    """What a correlation refers to a rule by."""
    return base.id if isinstance(base, Rule) else base.name


def _several(columns: Sequence[str]) -> str:
    return f"name one of {', '.join(columns)}"
