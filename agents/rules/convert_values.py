r"""A Sigma condition as a ClickHouse expression over a table of events: true or false, never null, as in the engine.

Differences that remain: letters whose lower case is of another length (a dotted capital I) may fold in another way, and
`\b` in a regular expression knows ASCII letters only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network

from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionValueExpression
from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
    TimestampPart,
)

from agents.context.district import ESCAPED
from agents.rules.casedrefs import CasedFieldReference
from agents.rules.columns import ColumnType, column_types, keyword_columns
from agents.rules.compiled import Tree, condition_parts
from agents.rules.convert_regex import SPACES, pattern_of, re2_of
from agents.rules.leaves import FINAL_SIGMA, SIGMA, ends_words, folded, keyword_value, regex_of
from schemas.errors import RuleError
from schemas.kinds import EventKind
from schemas.registry import schema

_OPERATORS = {"LT": "<", "LTE": "<=", "GT": ">", "GTE": ">=", "NEQ": "!="}
_PARTS = {  # each takes a zone; weeks are those of ISO 8601
    TimestampPart.MINUTE: "toMinute",
    TimestampPart.HOUR: "toHour",
    TimestampPart.DAY: "toDayOfMonth",
    TimestampPart.WEEK: "toISOWeek",
    TimestampPart.MONTH: "toMonth",
    TimestampPart.YEAR: "toYear",
}
_MAPPED = IPv6Network("::ffff:0:0/96")


class Unsayable(RuleError):  # noqa: N818 - a word for what SQL cannot say, not a mistake of the rule
    """Something of a rule that a query cannot express."""


def quoted(text: str) -> str:
    """A text as a ClickHouse literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + "".join(c if c >= " " or c == "\n" else f"\\x{ord(c):02x}" for c in escaped) + "'"


def trimmed(text: str) -> str:
    """A text without white space around it, as Python's `strip` takes it away."""
    return f"replaceRegexpAll({text}, {quoted(f'^{SPACES}+|{SPACES}+$')}, '')"


def bare_account(text: str) -> str:
    """An account as logged, lower case, without the Windows domain before it."""
    whole = f"lowerUTF8({trimmed(text)})"
    domain = quoted(r"^[^\n]*\\")
    return f"if(match({whole}, {quoted(ESCAPED.pattern)}), {whole}, replaceRegexpOne({whole}, {domain}, ''))"


@dataclass(frozen=True)
class Conditions:
    """Writes conditions over one kind of event.

    Attributes:
        kind: The kind.
        derived: Expressions of derived columns, by name.
    """

    kind: EventKind
    derived: Mapping[str, str]

    def of(self, tree: Tree) -> str:
        """A whole condition.

        Raises:
            Unsayable: a part of it cannot be said.
        """
        if isinstance(tree, ConditionFieldEqualsValueExpression):
            return self._leaf(tree.field, tree.value)
        if isinstance(tree, ConditionValueExpression):
            return self._keyword(tree.value)
        parts = [self.of(part) for part in condition_parts(tree)]
        if isinstance(tree, ConditionNOT):
            return f"NOT {parts[0]}"
        word = " AND " if isinstance(tree, ConditionAND) else " OR "
        return "(" + word.join(parts) + ")"

    def column(self, name: str) -> str:
        """Expression of a column.

        Raises:
            Unsayable: it is a derived one that no table holds.
        """
        types = column_types(self.kind)
        stored = {field["name"] for field in schema(self.kind.value)["fields"]}
        if name in self.derived:
            return self.derived[name]
        if name not in stored:
            what = f"column {name!r} is computed when an event is judged and in no table"
            raise Unsayable(what, hint="look with `aupstream backtest` instead" if name in types else "")
        return name

    def _keyword(self, value: SigmaType) -> str:
        if isinstance(value, SigmaExpansion):
            return _any([self._keyword(v) for v in value.values])
        wanted = keyword_value(value)
        return _any([self._leaf(c, wanted) for c in keyword_columns(self.kind)])

    def _leaf(self, column: str, value: SigmaType) -> str:
        kind, sql = column_types(self.kind)[column], self.column(column)
        if isinstance(value, SigmaExpansion):
            return _any([self._leaf(column, v) for v in value.values])
        if isinstance(value, SigmaNull):
            return _missing(sql, kind)
        if isinstance(value, SigmaExists):
            return f"NOT {_missing(sql, kind)}" if value.exists else _missing(sql, kind)
        if isinstance(value, SigmaFieldReference):
            return _sure(self._reference(column, value))
        if kind.element is not None:
            return f"arrayExists(x -> {_sure(self._scalar('x', kind.element, value, column))}, {sql})"
        return _sure(self._scalar(sql, kind, value, column))

    def _scalar(self, sql: str, kind: ColumnType, value: SigmaType, column: str) -> str:
        if isinstance(value, SigmaString):
            return self._text(sql, kind, value, column)
        if isinstance(value, SigmaTimestampPart):
            return f"{_time_part(sql, value)} = {value.number!r}"
        if isinstance(value, SigmaNumber):
            number = value.number
            return f"{sql} = {number!r}" if kind is ColumnType.NUMBER else f"{sql} = {quoted(str(number))}"
        if isinstance(value, SigmaBool):
            return f"{sql} = {str(value.boolean).lower()}"
        if isinstance(value, SigmaRegularExpression):
            return f"match({self._as_text(sql, kind, column)}, {quoted(re2_of(regex_of(value)))})"
        if isinstance(value, SigmaCIDRExpression):
            return in_network(sql, value.network)
        if isinstance(value, SigmaCompareExpression):
            left = _time_part(sql, value.number) if isinstance(value.number, SigmaTimestampPart) else sql
            return f"{left} {_OPERATORS[value.op.name]} {value.number.number!r}"
        raise Unsayable(f"{type(value).__name__} has no word in SQL")

    def _text(self, sql: str, kind: ColumnType, value: SigmaString, column: str) -> str:
        cased, parts = isinstance(value, SigmaCasedString), list(value.s)
        texts = [p if cased else folded(p) for p in parts if isinstance(p, str)]
        plain = all(isinstance(p, str) for p in parts)
        if kind is ColumnType.BOOL:
            return f"{sql} = {''.join(texts).lower()}"
        if kind is ColumnType.NUMBER and plain:
            return f"{sql} = {int(''.join(texts))}"
        subject = self._as_text(sql, kind, column)
        subject = subject if cased else f"lowerUTF8({subject})"
        if not cased and any(map(ends_words, texts)):
            subject = f"replaceAll({subject}, {quoted(FINAL_SIGMA)}, {quoted(SIGMA)})"
        many = SpecialChars.WILDCARD_MULTI
        match ["text" if isinstance(p, str) else "*" if p is many else "?" for p in parts]:
            case [] | ["text"]:
                return f"{subject} = {quoted(''.join(texts))}"
            case ["*"]:
                return f"{subject} IS NOT NULL"
            case ["text", "*"]:
                return f"startsWith({subject}, {quoted(texts[0])})"
            case ["*", "text"]:
                return f"endsWith({subject}, {quoted(texts[0])})"
            case ["*", "text", "*"]:
                return f"position({subject}, {quoted(texts[0])}) > 0"
            case _:
                shaped = [p if cased or not isinstance(p, str) else folded(p) for p in parts]
                return f"match({subject}, {quoted(pattern_of(shaped))})"

    def _as_text(self, sql: str, kind: ColumnType, column: str) -> str:
        if kind is ColumnType.TEXT:
            return sql
        if column in _floats(self.kind):
            raise Unsayable(f"{column} is no whole number: its text is another in SQL", hint="compare it as a number")
        return f"toString({sql})"

    def _reference(self, column: str, value: SigmaFieldReference) -> str:
        types = column_types(self.kind)
        mine, theirs = types[column], types[value.field]
        left, right = self.column(column), self.column(value.field)
        if not (value.starts_with or value.ends_with) and mine is theirs and mine is not ColumnType.TEXT:
            return f"{left} = {right}"
        left, right = (
            self._as_text(sql, kind, name)
            if isinstance(value, CasedFieldReference)
            else f"lowerUTF8({self._as_text(sql, kind, name)})"
            for sql, kind, name in ((left, mine, column), (right, theirs, value.field))
        )
        if value.starts_with and value.ends_with:  # how pySigma writes `contains`
            return f"position({left}, {right}) > 0"
        if value.starts_with or value.ends_with:
            return f"{'startsWith' if value.starts_with else 'endsWith'}({left}, {right})"
        return f"{left} = {right}"


def _time_part(sql: str, value: SigmaTimestampPart) -> str:
    return f"{_PARTS[value.timestamp_part]}({sql}, 'UTC')"


def _sure(sql: str) -> str:
    return f"ifNull({sql}, false)"


def _any(parts: list[str]) -> str:
    return "(" + " OR ".join(parts) + ")"


def _missing(sql: str, kind: ColumnType) -> str:
    return f"empty({sql})" if kind.element is not None else f"isNull({sql})"


def _floats(kind: EventKind) -> set[str]:
    return {f["name"] for f in schema(kind.value)["fields"] if "double" in str(f["type"])}


def in_network(sql: str, network: IPv4Network | IPv6Network | str) -> str:
    """True where an address is in a network; an IPv4 address that is written as an IPv6 one counts as what it is.

    Null for what is no address.
    """
    net = ip_network(network, strict=False) if isinstance(network, str) else network
    address = f"toIPv6OrNull({_plain_address(sql)})"
    if isinstance(net, IPv4Network):
        base = int(_MAPPED.network_address)
        low, high = (IPv6Address(base + int(a)) for a in (net.network_address, net.broadcast_address))
        return _between(address, low, high)
    inside = _between(address, net.network_address, net.broadcast_address)
    if net.overlaps(_MAPPED):
        inside = f"({inside} AND NOT {_between(address, _MAPPED.network_address, _MAPPED.broadcast_address)})"
    return inside


def _between(address: str, low: IPv6Address, high: IPv6Address) -> str:
    if low == high:
        return f"{address} = toIPv6('{low}')"
    return f"({address} >= toIPv6('{low}') AND {address} <= toIPv6('{high}'))"


def _plain_address(sql: str) -> str:
    """Without a zone (`fe80::1%eth0`), and null where a number is written with a leading zero, which is no address."""
    bare = f"splitByChar('%', assumeNotNull({sql}))[1]"
    return f"if(isNull({sql}) OR match({bare}, '(^|[.])0[0-9]'), NULL, {bare})"


def columns_asked(tree: Tree) -> set[str]:
    """Columns that a condition depends on; of a keyword that may be part of a MAC address, `source_mac`.

    A keyword is looked for in every column of text, but what has other letters than a MAC address is never in one.
    """
    if isinstance(tree, ConditionFieldEqualsValueExpression):
        other = {tree.value.field} if isinstance(tree.value, SigmaFieldReference) else set()
        return {tree.field} | other
    if isinstance(tree, ConditionValueExpression):
        values = tree.value.values if isinstance(tree.value, SigmaExpansion) else [tree.value]
        return {"source_mac"} if any(map(_like_a_mac, values)) else set()
    return {column for part in condition_parts(tree) for column in columns_asked(part)}


def _like_a_mac(value: SigmaType) -> bool:
    if isinstance(value, SigmaRegularExpression):
        return True
    texts = [p for p in keyword_value(value).s if isinstance(p, str)]  # type: ignore[union-attr]  # a text by now
    return set("".join(texts).lower()) <= set("0123456789abcdef:")
