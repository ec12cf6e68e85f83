"""How large a regular expression becomes once its counted repetitions are written out.

A counted repetition is compiled as so many copies of what it repeats. An expression of a few thousand pieces is small
enough for its compiler and yet takes tens of milliseconds an event, because it may be at all of them at once.
"""

from __future__ import annotations

import re

MAX_REPEATED = 1_000  # pieces that repetitions add to an expression

_WIDE = 5  # a class of all letters there are, by what it costs beside a class of some
_PIECE = re.compile(
    r"(?P<wide>\\[pP]\{[^}]*\}|\\[wWpP])|(?P<escape>\\[xuU]\{[^}]*\}|\\.)|(?P<set>\[)"
    r"|(?P<flags>\(\?[a-zA-Z-]*\))|(?P<open>\((?:\?P?<\w+>|\?[a-zA-Z-]*:)?)|(?P<close>\))"
    r"|(?P<count>\{\s*(?P<low>\d*)\s*(?:,\s*(?P<high>\d*)\s*)?\})|(?P<mark>[*+?|^$])|(?P<other>.)",
    re.DOTALL,
)


def repeated(pattern: str) -> int:
    """By how many pieces a pattern grows when every counted repetition is written out.

    Args:
        pattern: In the syntax of Rust's `regex`; of what is not valid the outcome means nothing.

    Returns:
        Pieces beyond those that are written; a class of all letters counts as several.
    """
    groups, last, i = [[0, 0]], [0, 0], 0  # written and written out: of open groups, of the last piece
    while i < len(pattern):
        piece = _PIECE.match(pattern, i)
        assert piece is not None
        i = _end_of_set(pattern, i) if piece["set"] else piece.end()
        if piece["open"]:
            groups.append([0, 0])
        elif piece["count"]:
            most = max(int(piece["high"] or piece["low"] or 1), 1)
            groups[-1][1] += last[1] * (most - 1)
            last = [last[0], last[1] * most]
        elif piece["close"] and len(groups) > 1:
            last = groups.pop()
            groups[-1] = [have + more for have, more in zip(groups[-1], last, strict=True)]
        elif not piece["flags"] and not piece["mark"]:
            last = [_WIDE if piece["wide"] else 1] * 2
            groups[-1] = [have + more for have, more in zip(groups[-1], last, strict=True)]
    return sum(out - written for written, out in groups)


def _end_of_set(pattern: str, start: int) -> int:
    """Where a class in brackets ends, classes inside it included."""
    depth, i = 0, start
    while i < len(pattern):
        if pattern[i] == "\\":
            i += 1
        elif pattern[i] == "[":
            depth += 1
            i += pattern[i + 1 : i + 2] == "^"
            i += pattern[i + 1 : i + 2] == "]"  # is itself at the beginning
        elif pattern[i] == "]":
            depth -= 1
            if not depth:
                return i + 1
        i += 1
    return i
