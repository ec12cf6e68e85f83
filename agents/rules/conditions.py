"""What a correlation asks for: limits of a measure, rules that must be there, counts of a sequence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from math import inf, isfinite, nextafter
from typing import Any

from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionItem,
    CorrelationConditionOR,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)
from sigma.exceptions import SigmaError

from agents.rules.columns import VISITS, ColumnType
from agents.rules.model import NUMERIC_KINDS, Presence, Threshold
from agents.rules.shape import Checker, a, suggestion

TEMPORAL = ("temporal", "temporal_ordered")
OPERATORS = ("gte", "gt", "lt", "lte", "eq", "neq")
MAX_COUNT = 10_000_000
MAX_ROWS_OF_SEQUENCE = 10_000
THRESHOLD_PARTS = {"where": ("internal", "outside"), "per": ("message",)}
IN_PARTS = ("delivered_recipients", "mailed_recipients")  # columns whose values have these parts
_COMBINED = (ColumnType.TEXT, ColumnType.NUMBER)
_COUNTED = (ColumnType.TEXT, ColumnType.TEXTS, ColumnType.NUMBER)
_HERE = ("correlation", "condition")
_NAME = re.compile(r"[\w-]+")

Column = Callable[[str, tuple[ColumnType, ...], tuple[str | int, ...]], str | None]
"""Finds the one column that a field name stands for, of one of some types; notes an error where there is none."""


class ConditionReader:
    """Reads the condition of one correlation.

    Args:
        check: Where errors go.
        own: What stands under `aupstream`.
        kind: Kind of the rule.
        bases: Names of the rules that it refers to.
        column: See `Column`.
    """

    def __init__(self, check: Checker, own: Mapping[str, Any], kind: str, bases: Sequence[str], column: Column) -> None:
        self._check, self._own, self._kind, self._bases, self._column = check, own, kind, bases, column
        self.value_field: str | None = None
        self.value_with: tuple[str, ...] = ()
        self.thresholds: tuple[Threshold, ...] = ()
        self.presence: Presence | None = None
        self.percentile = 0.0
        self.counts: tuple[int, ...] = ()

    def read(self, part: Mapping[str, Any]) -> None:
        """Take the `correlation` part; what is found is in the attributes."""
        condition = part.get("condition")
        self.counts = self._counts()
        if self._kind == "sequence":
            self._refuse(condition)
            if self.counts:
                self.thresholds = (Threshold(self._bases[0], float(self.counts[0])),)
        elif self._kind in TEMPORAL:
            self._temporal(condition)
        else:
            self._measured(self._check.mapping(condition, *_HERE))

    def _refuse(self, condition: object) -> None:
        if condition is not None:
            hint = "leave it out: all rules must match"
            self._check.error(f"{a(self._kind)} rule takes no condition", *_HERE, hint=hint)

    def _temporal(self, condition: object) -> None:
        """An extended condition: names of the rules with and, or, not."""
        if condition is None:
            return
        if not isinstance(condition, str):
            self._check.error(f"{a(self._kind)} rule takes no numbers", *_HERE, hint="leave it out, or write `a and b`")
            return
        if not self._check.nesting(condition, *_HERE):
            return
        try:
            readable, names = _readable(condition)
            tree = SigmaExtendedCorrelationCondition(readable).parsed
        except SigmaError as error:
            self._check.error(" ".join(str(error).split())[:300], *_HERE, hint="write names with and, or, not")
            return
        presence = self._presence(tree, names)
        if presence is not None and self._kind == "temporal_ordered":
            if _words(presence) - {"and"}:
                self._check.error("an order of rules knows no `or` and no `not`", *_HERE, hint="use type temporal")
            return  # all of them, in the order of the list
        self.presence = presence

    def _presence(self, tree: object, names: Mapping[str, str]) -> Presence | None:
        if isinstance(tree, SigmaRuleReference):
            name = names[tree.reference]
            if name not in self._bases:
                hint = suggestion(name, self._bases)
                self._check.error(f"{name!r} is no rule of this correlation", *_HERE, hint=hint)
                return None
            return name
        assert isinstance(tree, CorrelationConditionItem)
        parts = [self._presence(part, names) for part in tree.args]
        found = [part for part in parts if part is not None]
        if len(found) < len(parts):
            return None
        if isinstance(tree, CorrelationConditionAND | CorrelationConditionOR):
            word = "and" if isinstance(tree, CorrelationConditionAND) else "or"
            joined = found[0]
            for part in found[1:]:
                joined = (word, joined, part)
            return joined
        return ("not", found[0])

    def _measured(self, condition: Mapping[str, Any]) -> None:
        self._check.keys("condition", condition, *_HERE)
        threshold = self._range(condition)
        self._value_field(condition.get("field"))
        self._percentile(condition.get("percentile"))
        if self._kind == "new_value":
            if threshold.gte != 1 or threshold.lte != inf:
                self._check.error("a new value needs the condition `gte: 1`", *_HERE)
        else:
            self.thresholds = self._thresholds(threshold)

    def _value_field(self, field: object) -> None:
        if self._kind != "value_count" and self._kind not in NUMERIC_KINDS:
            if field is not None:
                self._check.error(f"{a(self._kind)} rule counts no field", *_HERE, "field", hint="remove it", key=True)
            return
        allowed = _COUNTED if self._kind == "value_count" else (ColumnType.NUMBER,)
        if isinstance(field, list) and len(field) > 1:
            self._value_fields(field)
            return
        field = field[0] if isinstance(field, list) and field else field
        if not isinstance(field, str):
            hint = "name the column whose values are counted"
            self._check.error("the condition names no field", *_HERE, hint=hint)
            return
        self.value_field = self._column(field, allowed, (*_HERE, "field"))

    def _value_fields(self, fields: list[object]) -> None:
        """Several fields: what is counted is the combination of their values."""
        path = (*_HERE, "field")
        if self._kind != "value_count" or self._own.get("kind"):
            self._check.error("only a plain value_count takes several fields", *path, hint="name one")
            return
        names = self._check.texts(fields, *path)
        columns = [self._column(name, _COMBINED, (*path, i)) for i, name in enumerate(names)]
        if len(set(columns)) < len(columns) and None not in columns:
            self._check.error("a column stands here twice", *path, hint="name each once")
        for i, column in enumerate(columns):
            if column in VISITS:
                self._check.error(f"{column} is counted by itself", *path, i, hint="name nothing beside it")
        self.value_field, *others = columns or [None]
        self.value_with = tuple(column for column in others if column is not None)

    def _percentile(self, given: object) -> None:
        if self._kind != "value_percentile":
            if given is not None:
                hint = "use type value_percentile"
                self._check.error("percentile belongs to value_percentile", *_HERE, "percentile", hint=hint, key=True)
            return
        if not isinstance(given, int | float) or isinstance(given, bool) or not 0 <= given <= 100:
            shown = "it is missing" if given is None else f"not {given!r}"
            self._check.error(f"percentile must be a number from 0 to 100: {shown}", *_HERE)
            return
        self.percentile = float(given)

    def _range(self, condition: Mapping[str, Any]) -> Threshold:
        """What the operators ask for together."""
        low, high, neq, wrong = -inf, inf, None, False
        given = [op for op in OPERATORS if op in condition]
        for op in given:
            value = condition[op]
            if (
                not isinstance(value, int | float)
                or isinstance(value, bool)
                or not isfinite(value)
                or abs(value) > 1e15
            ):
                hint = "write it without quotes" if isinstance(value, str) else ""
                self._check.error(f"the limit must be a number, not {value!r}", *_HERE, op, hint=hint)
                wrong = True
                continue
            number = float(value)
            if op in ("gte", "gt", "eq"):
                low = max(low, nextafter(number, inf) if op == "gt" else number)
            if op in ("lte", "lt", "eq"):
                high = min(high, nextafter(number, -inf) if op == "lt" else number)
            neq = number if op == "neq" else neq
        if not given:
            self._check.error(
                "the condition has no limit", *_HERE, hint="write e.g. `gte: 10`, or a range with `lt` too"
            )
        elif not wrong and low > high:
            self._check.error("no number fits the condition", *_HERE, hint="the lower limit is above the upper one")
        if given and not wrong and self._is_count() and low <= 0 and high == inf and neq is None:
            self._check.error(f"the limit must be a number above 0, not {condition[given[0]]}", *_HERE, given[0])
        return Threshold(self._kind, self._whole(low), lte=high, neq=neq)

    def _is_count(self) -> bool:
        return self._kind in ("event_count", "value_count")

    def _whole(self, low: float) -> float:
        """Counts are whole numbers: `gt: 9` is told as ten."""
        return float(int(low) + 1) if self._is_count() and low != -inf and low != int(low) else low

    def _thresholds(self, limit: Threshold) -> tuple[Threshold, ...]:
        listed = self._own.get("thresholds")
        if listed is None:
            return (limit,)
        path = ("aupstream", "thresholds")
        if self._kind != "value_count" or not isinstance(listed, list) or not listed:
            self._check.error("thresholds are a list, and of value_count only", *path, hint="use the condition")
            return ()
        found = [self._threshold(item, i) for i, item in enumerate(listed)]
        if len({t.name for t in found}) < len(found):
            self._check.error("two thresholds have the same name", *path, hint="a violation lists them by name")
        if found and min(t.gte for t in found) != limit.gte:
            what = f"the condition's limit must be the lowest threshold, {min(t.gte for t in found):g}"
            hint = "so that tools which know only Sigma miss nothing"
            self._check.error(what, *_HERE, hint=hint)
        return tuple(found)

    def _threshold(self, item: object, i: int) -> Threshold:
        path = ("aupstream", "thresholds", i)
        one = self._check.mapping(item, *path)
        self._check.keys("threshold", one, *path)
        name = self._check.text(one, "name", *path, required=True)
        gte = self._check.whole(one, "gte", *path, low=1, high=MAX_COUNT, default=0)
        if not gte and "gte" not in one:
            self._check.error("gte is missing", *path, hint="say how many it takes")
        parts = {k: self._check.text(one, k, *path) or None for k in ("where", "per")}
        for key, part in parts.items():
            known = THRESHOLD_PARTS[key] if self.value_field in IN_PARTS else ()
            if part is not None and part not in known:
                parted = f"only {' and '.join(IN_PARTS)} have classes and messages"
                hint = f"known: {', '.join(known)}" if known else parted
                self._check.error(f"{key} {part!r} is not known", *path, key, hint=hint)
        return Threshold(name, float(gte), parts["where"], parts["per"])

    def _counts(self) -> tuple[int, ...]:
        counts = self._own.get("counts")
        if self._kind != "sequence":
            return ()
        good = isinstance(counts, list) and all(
            isinstance(c, int) and not isinstance(c, bool) and 1 <= c <= MAX_ROWS_OF_SEQUENCE for c in counts
        )
        if not isinstance(counts, list) or not good or len(counts) != len(self._bases) or len(counts) < 2:
            hint = "such as [8, 1]: eight of the first and then one of the second"
            self._check.error("a sequence needs a count for each of its rules", "aupstream", "counts", hint=hint)
            return ()
        return tuple(counts)


def _words(presence: Presence) -> set[str]:
    if isinstance(presence, str):
        return set()
    word, *parts = presence
    return {word}.union(*map(_words, parts))


def _readable(condition: str) -> tuple[str, dict[str, str]]:
    """An extended condition with names that pySigma can read, and which name of a rule each of them stands for.

    It knows no hyphen in a name. Two names must not become one: `a-b` is not `a_b`.
    """
    names: dict[str, str] = {}

    def plain(found: re.Match[str]) -> str:
        name = found[0]
        if name in ("and", "or", "not"):
            return name
        word = name.replace("-", "_")
        while names.setdefault(word, name) != name:
            word += "_"
        return word

    return _NAME.sub(plain, condition), names
