"""What a row must contain for a condition to hold: an upper bound that a scan for literals can find.

A condition implies its trigger, never the other way round: a row without it is passed over unread, a row with it is
judged by the condition itself. Literals are ASCII and in lower case, cut to `MAX_LITERAL` characters; they are looked
for in the raw bytes of the column without regard to case. `FOLDS` are the two characters outside ASCII that
become ASCII in lower case, and the one that an expression without regard to case takes for an ASCII letter (Unicode,
UnicodeData.txt and CaseFolding.txt): a column that has one of them triggers everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from sigma.types import (
    Placeholder,
    SigmaCasedString,
    SigmaExpansion,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
)

FOLDS = ("\u0130", "\u212a", "\u017f")  # I with a dot, Kelvin sign, long s
MAX_LITERAL = 200
MAX_PIECES = 4  # of one value with wildcards: the longest ones
EVERYWHERE = "*"  # column of a literal that may stand in any of the columns that keywords are looked for in
_RUN = re.compile(r"[\x01-\x7f]+")


@dataclass(frozen=True, slots=True)
class Literal:
    """A text that the column must contain, or be.

    Attributes:
        column: Column name, or `EVERYWHERE`.
        text: In lower case. ASCII and not empty, unless it is the whole of the column.
        whole: True where the column in lower case must be it.
    """

    column: str
    text: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of the parts must be there."""

    parts: tuple[Trigger, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of the parts must be there: the rarest of them is enough to look for."""

    parts: tuple[Trigger, ...]


Trigger = Literal | AnyOf | AllOf


def any_trigger(parts: Iterable[Trigger | None]) -> Trigger | None:
    """Trigger of an OR; None, which says nothing, where one of the parts has none."""
    listed = list(parts)
    known = [part for part in listed if part is not None]
    if not known or len(known) < len(listed):
        return None
    flat = dict.fromkeys(p for part in known for p in (part.parts if isinstance(part, AnyOf) else (part,)))
    return next(iter(flat)) if len(flat) == 1 else AnyOf(tuple(flat))


def all_trigger(parts: Iterable[Trigger | None]) -> Trigger | None:
    """Trigger of an AND; None where none of the parts has one."""
    known = dict.fromkeys(part for part in parts if part is not None)
    if len(known) < 2:
        return next(iter(known), None)
    return AllOf(tuple(known))


def literals(trigger: Trigger) -> Iterable[Literal]:
    """All literals of a trigger."""
    if isinstance(trigger, Literal):
        yield trigger
        return
    for part in trigger.parts:
        yield from literals(part)


def chosen(trigger: Trigger, share: Mapping[Literal, float]) -> tuple[float, tuple[Literal, ...]]:
    """The cheapest literals of which one must be there.

    Args:
        trigger: What must be there.
        share: How much of the traffic each literal is in, 0 to 1.

    Returns:
        Their share together (at most the sum of the single ones) and the literals.
    """
    if isinstance(trigger, Literal):
        return share.get(trigger, inf), (trigger,)
    picks = [chosen(part, share) for part in trigger.parts]
    if isinstance(trigger, AllOf):
        return min(picks, key=lambda pick: (pick[0], len(pick[1])))
    return sum(pick[0] for pick in picks), tuple(literal for _, found in picks for literal in found)


def value_trigger(column: str, value: SigmaType) -> Trigger | None:
    """Trigger of a column of text and one value of a rule; None for values that no literal stands for."""
    if isinstance(value, SigmaExpansion):
        return any_trigger(value_trigger(column, one) for one in value.values)
    if isinstance(value, SigmaString):
        return _text_trigger(column, value)
    if isinstance(value, SigmaNumber) and not isinstance(value, SigmaTimestampPart):
        return _either(column, str(value.number))
    if isinstance(value, SigmaRegularExpression):
        branches = regex_literals(str(value.regexp.to_plain(regex=True)))
        return any_trigger(_pieces(column, branch) for branch in branches)
    return None


def _text_trigger(column: str, value: SigmaString) -> Trigger | None:
    texts = [part for part in value.s if isinstance(part, str)]
    if len(texts) < len(value.s) or column == EVERYWHERE:
        return None if any(isinstance(part, Placeholder) for part in value.s) else _pieces(column, texts)
    text = "".join(texts)
    if isinstance(value, SigmaCasedString) and not text.isascii():
        return _pieces(column, texts)  # lower case may depend on what stands beside a letter
    return _either(column, text)


def _either(column: str, text: str) -> Trigger | None:
    """The whole of a column: looked for as a piece where that is rare, and looked up where it is not."""
    unsure = column == EVERYWHERE or "\u03c3" in text.lower() or "\u03c2" in text.lower()  # see `leaves.ends_words`
    pieces = None if unsure else Literal(column, text.lower(), whole=True)
    return all_trigger([_pieces(column, [text]), pieces])


def _pieces(column: str, texts: Iterable[str]) -> Trigger | None:
    """Runs of ASCII, all of which must be there."""
    runs = dict.fromkeys(run[:MAX_LITERAL] for text in texts for run in _RUN.findall(text.lower()))
    return all_trigger(Literal(column, run) for run in sorted(runs, key=len, reverse=True)[:MAX_PIECES])


_TOKEN = re.compile(
    r"\\(?P<class>[AbBzdDwWsS])(?!\{)|\\(?P<char>[^0-9A-Za-z<>])|(?P<set>\[\^?\]?[^\]]*\])"
    r"|(?P<repeat>[*+?]\??|\{[0-9,]+\}\??)|(?P<plain>[^\\])",
    re.DOTALL,
)
_NOT_PLAIN = re.compile(r"\(\?[a-zA-Z-]*x|\[[^\]]*\[|&&|\[[^\]]*\\\]")


def regex_literals(pattern: str) -> list[list[str]]:
    """For each alternative of an expression, texts that everything which it matches contains.

    Only the outermost level is read, and groups count for nothing. An escape that is not known, or a flag that changes
    how spaces are read, ends it: then there is one alternative, without texts.
    """
    branches: list[list[str]] = [[""]]
    depth = at = 0
    while at < len(pattern):
        match = None if _NOT_PLAIN.search(pattern) else _TOKEN.match(pattern, at)
        if match is None:
            return [[]]
        at, mark, sort, runs = match.end(), match[0], match.lastgroup, branches[-1]
        if sort == "plain" and mark in "()":
            depth += 1 if mark == "(" else -1
            runs.append("")
        elif depth:
            continue
        elif sort == "plain" and mark == "|":
            branches.append([""])
        elif sort == "repeat":
            # The last character may not be there at all, unless the mark is a plus.
            runs[-1:] = [runs[-1] if mark.startswith("+") else runs[-1][:-1], ""]
        elif sort == "char" or (sort == "plain" and mark not in ".^$"):
            runs[-1] += match[sort]
        else:
            runs.append("")
    return [[text for text in runs if text] for runs in branches]
