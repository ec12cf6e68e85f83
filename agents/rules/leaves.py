"""One Sigma value against one column, as a Polars expression that is true or false and never null.

Every leaf ends in `fill_null(False)`: a row without the column does not match, and NOT of that does (Sigma's logic has
two values, Polars' has three). Text is compared without regard to case unless the rule says `cased`; a regular
expression minds case unless it says `i`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

import polars as pl
from sigma.types import (
    CompareOperators,
    Placeholder,
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
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
    TimestampPart,
)

from agents.context.networks import NetworkIndex
from agents.rules.casedrefs import CasedFieldReference
from agents.rules.columns import ColumnType
from agents.rules.repeats import MAX_REPEATED, repeated

_FLAGS = {
    SigmaRegularExpressionFlag.IGNORECASE: "i",
    SigmaRegularExpressionFlag.MULTILINE: "m",
    SigmaRegularExpressionFlag.DOTALL: "s",
}
_REGEX_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$#&~-])")
_COMPARE: dict[CompareOperators, Callable[[pl.Expr, float], pl.Expr]] = {
    CompareOperators.LT: lambda c, n: c < n,
    CompareOperators.LTE: lambda c, n: c <= n,
    CompareOperators.GT: lambda c, n: c > n,
    CompareOperators.GTE: lambda c, n: c >= n,
    CompareOperators.NEQ: lambda c, n: c != n,
}


class LeafError(Exception):
    """A value cannot be compared with a column.

    Args:
        what: What is wrong.
        hint: What to do.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        self.what, self.hint = what, hint
        super().__init__(what)


def leaf(column: str, types: dict[str, ColumnType], value: SigmaType) -> pl.Expr:
    """Predicate of one column and one value.

    Args:
        column: Name of the column, one of `types`.
        types: Types of all columns of the kind.
        value: As pySigma parsed it, modifiers applied.

    Returns:
        A Boolean expression without nulls.

    Raises:
        LeafError: the two do not go together, or the value is of a sort that is not supported.
    """
    kind = types[column]
    col = pl.col(column)
    if isinstance(value, SigmaExpansion):
        return any_of([leaf(column, types, v) for v in value.values])
    if isinstance(value, SigmaNull):
        return _is_null(col, kind)
    if isinstance(value, SigmaExists):
        return ~_is_null(col, kind) if value.exists else _is_null(col, kind)
    if isinstance(value, SigmaFieldReference):
        return _reference(column, types, value).fill_null(value=False)
    if kind.element is not None:
        if isinstance(value, SigmaCIDRExpression):
            raise LeafError(f"`cidr` cannot look into the list {column}", "compare with `startswith`")
        inside = _scalar(pl.element(), kind.element, value, column).fill_null(value=False)
        return col.list.eval(inside).list.any().fill_null(value=False)
    return _scalar(col, kind, value, column).fill_null(value=False)


def keyword(value: SigmaType, types: dict[str, ColumnType], columns: list[str]) -> pl.Expr:
    """Predicate of a value without a field: it occurs in any of the text columns given.

    Raises:
        LeafError: the value is no text, number or regular expression.
    """
    if isinstance(value, SigmaExpansion):
        return any_of([keyword(v, types, columns) for v in value.values])
    value = keyword_value(value)
    return any_of([leaf(c, types, value) for c in columns])


def single_values(value: SigmaType) -> list[SigmaType]:
    """The values that a modifier made of one, which alone are compared; else the value itself."""
    if not isinstance(value, SigmaExpansion):
        return [value]
    return [single for inner in value.values for single in single_values(inner)]


def is_expression(value: SigmaType) -> bool:
    """True of a regular expression, and of a text that becomes one: with a wildcard other than at its ends."""
    if not isinstance(value, SigmaString):
        return isinstance(value, SigmaRegularExpression)
    many = SpecialChars.WILDCARD_MULTI
    inner = value.s[_starts_open(value) : len(value.s) - _ends_open(value)]
    return any(part is many or part is SpecialChars.WILDCARD_SINGLE for part in inner)


def keyword_value(value: SigmaType) -> SigmaString | SigmaRegularExpression:
    """What is looked for in each text column: text anywhere inside, or a regular expression.

    Raises:
        LeafError: the value is neither.
    """
    if isinstance(value, SigmaNumber) and not isinstance(value, SigmaTimestampPart):
        value = SigmaString(str(value.number))
    if isinstance(value, SigmaString):
        parts = [*([] if _starts_open(value) else [SpecialChars.WILDCARD_MULTI]), *value.s]
        return _rebuilt(value, [*parts, *([] if _ends_open(value) else [SpecialChars.WILDCARD_MULTI])])
    if not isinstance(value, SigmaRegularExpression):
        raise LeafError("a keyword must be text, a number or a regular expression", "name the field")
    return value


SIGMA, FINAL_SIGMA = "\u03c3", "\u03c2"


def any_of(parts: Sequence[pl.Expr]) -> pl.Expr:
    """OR of at least one predicate without nulls, as flat as can be: long chains overflow the engine's stack."""
    return _balanced(parts, lambda one, other: one | other)


def all_of(parts: Sequence[pl.Expr]) -> pl.Expr:
    """AND of at least one predicate without nulls."""
    return _balanced(parts, lambda one, other: one & other)


def _balanced(parts: Sequence[pl.Expr], join: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> pl.Expr:
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return join(_balanced(parts[:middle], join), _balanced(parts[middle:], join))


def _is_null(col: pl.Expr, kind: ColumnType) -> pl.Expr:
    return (col.list.len() == 0).fill_null(value=True) if kind.element is not None else col.is_null()


def _scalar(col: pl.Expr, kind: ColumnType, value: SigmaType, column: str) -> pl.Expr:
    """Predicate that may be null; `col` is a column or the element of a list."""
    if isinstance(value, SigmaTimestampPart):
        return _time_part(col, kind, value, column) == value.number
    if kind is ColumnType.TIME and not _is_of_part(value):
        raise LeafError(
            f"a condition cannot compare {column} as a time",
            "compare a part of it, such as |hour, or use the window of a correlation",
        )
    if isinstance(value, SigmaString):
        return _text(col, kind, value, column)
    if isinstance(value, SigmaNumber):
        return _number(col, kind, value, column)
    if isinstance(value, SigmaBool):
        if kind is not ColumnType.BOOL:
            raise LeafError(f"{column} is {kind.value}, not true or false", "put the value in quotes, or use `exists`")
        return col if value.boolean else ~col
    if isinstance(value, SigmaRegularExpression):
        return _as_text(col, kind, column).str.contains(regex_of(value))
    if isinstance(value, SigmaCIDRExpression):
        return _cidr(col, kind, value, column)
    if isinstance(value, SigmaCompareExpression):
        if isinstance(value.number, SigmaTimestampPart):
            return _COMPARE[value.op](_time_part(col, kind, value.number, column), value.number.number)
        if kind is not ColumnType.NUMBER:
            raise LeafError(f"{column} is {kind.value}: it has no order", "compare a column of numbers")
        return _COMPARE[value.op](col, value.number.number)
    raise LeafError(f"{type(value).__name__} is not supported", "write the values out")


def _unfilled(parts: Sequence[object]) -> LeafError:
    names = [part.name for part in parts if isinstance(part, Placeholder)]
    what = f"there is no list for the placeholder {', '.join(f'%{name}%' for name in names)}, or it is empty"
    return LeafError(what, f"add values to {', '.join(f'lists/{name}.txt' for name in names)} beside the rules")


def _is_of_part(value: SigmaType) -> bool:
    """True of a comparison with a part of a time, as of `timestamp|hour|gte`."""
    return isinstance(value, SigmaCompareExpression) and isinstance(value.number, SigmaTimestampPart)


def _time_part(col: pl.Expr, kind: ColumnType, value: SigmaTimestampPart, column: str) -> pl.Expr:
    """A part of a time, in UTC; weeks are those of ISO 8601."""
    if kind is not ColumnType.TIME:
        raise LeafError(f"{column} is {kind.value}, and no time", "name a column that is a time, such as timestamp")
    return _PARTS[value.timestamp_part](col)


_PARTS: dict[TimestampPart, Callable[[pl.Expr], pl.Expr]] = {
    TimestampPart.MINUTE: lambda c: c.dt.minute(),
    TimestampPart.HOUR: lambda c: c.dt.hour(),
    TimestampPart.DAY: lambda c: c.dt.day(),
    TimestampPart.WEEK: lambda c: c.dt.week(),
    TimestampPart.MONTH: lambda c: c.dt.month(),
    TimestampPart.YEAR: lambda c: c.dt.year(),
}


def _text(col: pl.Expr, kind: ColumnType, value: SigmaString, column: str) -> pl.Expr:
    parts = list(value.s)
    if any(not isinstance(p, str | SpecialChars) for p in parts):
        raise _unfilled(value.s)
    if kind is not ColumnType.TEXT and all(isinstance(p, str) for p in parts):
        return _literal_for(col, kind, "".join(map(str, parts)), column)
    cased = isinstance(value, SigmaCasedString)
    subject = _as_text(col, kind, column)
    if cased:
        return _pattern(subject, parts)
    lowered = subject.str.to_lowercase()
    if any(isinstance(p, str) and ends_words(p) for p in parts):
        lowered = lowered.str.replace_all(FINAL_SIGMA, SIGMA, literal=True)
    return _pattern(lowered, [folded(p) if isinstance(p, str) else p for p in parts])


def folded(text: str) -> str:
    """A text in lower case, the Greek sigma at the end of a word as anywhere else: of a part no end is known."""
    return text.lower().replace(FINAL_SIGMA, SIGMA)


def ends_words(text: str) -> bool:
    """True of a text with a letter whose lower case depends on what stands beside it."""
    return SIGMA in folded(text)


def _pattern(subject: pl.Expr, parts: Sequence[object]) -> pl.Expr:
    """Match of text with wildcards, by the cheapest operation that does."""
    many = SpecialChars.WILDCARD_MULTI
    texts = [p for p in parts if isinstance(p, str)]
    shape = ["text" if isinstance(p, str) else "*" if p is many else "?" for p in parts]
    match shape:
        case [] | ["text"]:
            return subject == "".join(texts)
        case ["*"]:
            return subject.is_not_null()
        case ["text", "*"]:
            return subject.str.starts_with(texts[0])
        case ["*", "text"]:
            return subject.str.ends_with(texts[0])
        case ["*", "text", "*"]:
            return subject.str.contains(texts[0], literal=True)
        case _:
            regex = "".join(_escaped(p) if isinstance(p, str) else ".*" if p is many else "." for p in parts)
            return subject.str.contains(rf"(?s)\A{regex}\z")


def _escaped(text: str) -> str:
    return _REGEX_SPECIAL.sub(r"\\\1", text)


def _literal_for(col: pl.Expr, kind: ColumnType, text: str, column: str) -> pl.Expr:
    """A text without wildcards against a column of numbers or truth values."""
    if kind is ColumnType.BOOL and text.lower() in ("true", "false"):
        return col if text.lower() == "true" else ~col
    if kind is ColumnType.NUMBER and re.fullmatch(r"-?[0-9]+", text):
        return col == int(text)
    raise LeafError(f"{text!r} can never equal {column}, which is {kind.value}", f"give a {kind.value}")


def _number(col: pl.Expr, kind: ColumnType, value: SigmaNumber, column: str) -> pl.Expr:
    if kind is ColumnType.NUMBER:
        return col == value.number
    if kind is ColumnType.TEXT:
        return col == str(value.number)
    raise LeafError(f"{column} is {kind.value}, not a number", "write true or false")


def _as_text(col: pl.Expr, kind: ColumnType, column: str) -> pl.Expr:
    if kind is ColumnType.BOOL:
        raise LeafError(f"{column} is true or false and has no text", "write true or false")
    return col if kind is ColumnType.TEXT else col.cast(pl.String)


def regex_of(value: SigmaRegularExpression) -> str:
    """The pattern in the syntax of Polars (Rust's `regex`), checked.

    Raises:
        LeafError: the engine cannot run it in linear time (look-around, back-references).
    """
    if getattr(value, "regexp", None) is None:  # pySigma leaves it so where the rule says null
        raise LeafError("a regular expression must be text", "put it in quotes")
    if value.contains_placeholder():
        raise _unfilled(value.regexp.s)
    flags = "".join(sorted(_FLAGS[f] for f in value.flags))
    pattern = (f"(?{flags})" if flags else "") + str(value.regexp.to_plain(regex=True))
    if repeated(pattern) > MAX_REPEATED:
        what = f"the regular expression repeats too much: written out it has over {MAX_REPEATED} more pieces"
        raise LeafError(what, "repeat less, or use * or +")
    reason = _regex_problem(pattern)
    if reason:
        raise LeafError(
            f"the regular expression cannot be used: {reason}", "do without look-around and back-references"
        )
    return pattern


@cache
def _regex_problem(pattern: str) -> str:
    try:
        pl.Series(["x"]).str.contains(pattern)
    except pl.exceptions.PolarsError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return lines[-1].removeprefix("error: ")
    return ""


def _cidr(col: pl.Expr, kind: ColumnType, value: SigmaCIDRExpression, column: str) -> pl.Expr:
    if kind is not ColumnType.TEXT:
        raise LeafError(f"{column} is {kind.value} and holds no addresses", "name a column that ends in _ip")
    index = NetworkIndex([(value.network, "in")])
    return col.map_batches(lambda s: index.names_of(s).is_not_null(), return_dtype=pl.Boolean)


def _reference(column: str, types: dict[str, ColumnType], value: SigmaFieldReference) -> pl.Expr:
    other = value.field
    if other not in types:
        raise LeafError(f"there is no column {other!r} to compare {column} with", "name a column of the same kind")
    mine, theirs = types[column], types[other]
    if mine.element is not None or theirs.element is not None or ColumnType.TIME in (mine, theirs):
        raise LeafError(f"{column} and {other} cannot be compared", "compare columns of one value each")
    left, right = pl.col(column), pl.col(other)
    text = _spelled if isinstance(value, CasedFieldReference) else _lowered
    if not (value.starts_with or value.ends_with):
        if mine is theirs and mine is not ColumnType.TEXT:
            return left == right
        return text(left, mine) == text(right, theirs)
    subject, part = text(left, mine), text(right, theirs)
    if value.starts_with and value.ends_with:  # how pySigma writes `contains`
        return subject.str.contains(part, literal=True)
    return subject.str.starts_with(part) if value.starts_with else subject.str.ends_with(part)


def _spelled(col: pl.Expr, kind: ColumnType) -> pl.Expr:
    return col if kind is ColumnType.TEXT else col.cast(pl.String)


def _lowered(col: pl.Expr, kind: ColumnType) -> pl.Expr:
    return _spelled(col, kind).str.to_lowercase()


def _starts_open(value: SigmaString) -> bool:
    return bool(value.s) and value.s[0] is SpecialChars.WILDCARD_MULTI


def _ends_open(value: SigmaString) -> bool:
    return bool(value.s) and value.s[-1] is SpecialChars.WILDCARD_MULTI


def _rebuilt(value: SigmaString, parts: list[str | SpecialChars | Placeholder]) -> SigmaString:
    """The same sort of string with other parts; a lone wildcard stays one."""
    made = SigmaCasedString(value.original) if isinstance(value, SigmaCasedString) else SigmaString(value.original)
    many = SpecialChars.WILDCARD_MULTI
    made.s = [p for i, p in enumerate(parts) if not (p is many and i and parts[i - 1] is many)]
    return made
