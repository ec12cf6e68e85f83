"""Sigma detections, judged row by row over dicts: slow, obvious, and knowing nothing of pySigma or Polars."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

Row = Mapping[str, Any]
ANY_MANY, ANY_ONE = object(), object()
Pattern = tuple[object, ...]  # characters, ANY_MANY and ANY_ONE


@dataclass(frozen=True)
class Item:
    """One `field|modifier: values` of a selection.

    Attributes:
        field: Field name as the rule writes it.
        column: Column it stands for.
        modifier: `equals`, `contains`, `startswith`, `endswith`, `re`, `cidr`, `lt`, `lte`, `gt`, `gte`, `exists`,
            `null`, `fieldref`.
        values: Patterns, numbers, expressions, networks, truth values or column names.
        every: All values must match, not only one.
        cased: Case counts.
    """

    field: str
    column: str
    modifier: str
    values: tuple[Any, ...]
    every: bool = False
    cased: bool = False

    def key(self) -> str:
        """The key in the rule file."""
        name = self.field if self.modifier in ("equals", "null") else f"{self.field}|{self.modifier}"
        return name + ("|cased" if self.cased else "") + ("|all" if self.every else "")

    def written(self) -> Any:
        """The values as the rule file has them."""
        listed = [_written(v) if isinstance(v, tuple) else v for v in self.values]
        return listed if len(listed) > 1 or self.every else listed[0]

    def holds(self, row: Row) -> bool:
        """True where the row matches."""
        joined = all if self.every else any
        return joined(self._one(row.get(self.column), value, row) for value in self.values)

    def _one(self, have: Any, value: Any, row: Row) -> bool:
        if self.modifier == "null":
            return have is None or have == []
        if self.modifier == "exists":
            return (have is not None and have != []) is value
        if isinstance(have, list):
            return any(self._scalar(h, value, row) for h in have)
        return self._scalar(have, value, row)

    def _scalar(self, have: Any, value: Any, row: Row) -> bool:
        if have is None:
            return False
        if self.modifier in SCALARS:
            return SCALARS[self.modifier](have, value, row)
        if not isinstance(value, tuple):
            return bool(have == value)
        before = (ANY_MANY,) if self.modifier in ("contains", "endswith") else ()
        after = (ANY_MANY,) if self.modifier in ("contains", "startswith") else ()
        return matches((*before, *value, *after), str(have), cased=self.cased)


SCALARS: Mapping[str, Callable[[Any, Any, Row], bool]] = {
    "lt": lambda have, value, _: bool(have < value),
    "lte": lambda have, value, _: bool(have <= value),
    "gt": lambda have, value, _: bool(have > value),
    "gte": lambda have, value, _: bool(have >= value),
    "re": lambda have, value, _: re.search(value, str(have)) is not None,
    "cidr": lambda have, value, _: _inside(have, value),
    "fieldref": lambda have, value, row: row.get(value) is not None and str(have).lower() == str(row[value]).lower(),
}


def _written(pattern: Pattern) -> str:
    """A pattern in Sigma's spelling: wildcards plain, the characters `*`, `?` and backslash escaped."""
    spelled = {ANY_MANY: "*", ANY_ONE: "?", "*": "\\*", "?": "\\?", "\\": "\\\\"}
    return "".join(spelled.get(part, str(part)) for part in pattern)


def matches(pattern: Sequence[object], text: str, *, cased: bool) -> bool:
    """Wildcard match of a whole text."""
    if not cased:
        text = text.lower()
        pattern = [p.lower() if isinstance(p, str) else p for p in pattern]
    reached = {0}
    for part in pattern:
        if part is ANY_MANY:
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        else:
            reached = {i + 1 for i in reached if i < len(text) and (part is ANY_ONE or text[i] == part)}
    return len(text) in reached


def _inside(text: str, network: str) -> bool:
    """An IPv4 address written as an IPv6 one counts as the IPv4 one that it is."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address) in ip_network(network)
