"""Regular expressions of the engine (Rust's `regex`) in the words of ClickHouse's (RE2)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sigma.types import SpecialChars

from schemas.errors import RuleError

# What `\\w` and `\\s` are in Rust, where they know all of Unicode: in RE2 they know ASCII only.
_WORD = r"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}"
_SPACE = r"\t\n\v\f\r \x{85}\p{Z}"
SPACES = f"[{_SPACE}]"
_CLASSES = {"d": r"\p{Nd}", "w": _WORD + r"\x{200C}\x{200D}", "s": _SPACE}
_UNKNOWN_ESCAPE = re.compile(r"\\(?:[uU<>]|b\{|B\{|x\{?[0-9A-Fa-f]*[^0-9A-Fa-f}{])")
_CATEGORY = re.compile(r"\\[pP](?:\{\^?[A-Z][a-z]?\}|[LMNPSZC])")
_FLAGS = re.compile(r"\(\?([a-zA-Z-]*)[:)]")
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$#&~-])")
_MAX_REPEAT = 1_000  # of RE2


def pattern_of(parts: Sequence[object]) -> str:
    """A text with wildcards as a pattern of the whole text."""
    made = (
        _SPECIAL.sub(r"\\\1", p) if isinstance(p, str) else ".*" if p is SpecialChars.WILDCARD_MULTI else "."
        for p in parts
    )
    return rf"(?s)\A{''.join(made)}\z"


def re2_of(pattern: str) -> str:
    """The same pattern for RE2; where ClickHouse lets a dot match a line break, it is told not to.

    Raises:
        RuleError: RE2 has no word for a part of it.
    """
    if any(set(m[1]) - set("imsU-") for m in _FLAGS.finditer(pattern)):
        raise _unsayable(pattern, "a flag that RE2 does not know")
    if any(int(n) > _MAX_REPEAT for m in _REPEAT.finditer(pattern) for n in m.groups() if n):
        raise _unsayable(pattern, f"more than {_MAX_REPEAT} repetitions")
    if _UNKNOWN_ESCAPE.search(pattern):
        raise _unsayable(pattern, "an escape that RE2 does not know")
    made, i, inside = ["(?-s)"], 0, False
    while i < len(pattern):
        step, text, inside = _token(pattern, i, inside=inside)
        made.append(text)
        i += step
    return "".join(made)


def _token(pattern: str, i: int, *, inside: bool) -> tuple[int, str, bool]:
    """Length of the next piece, what it becomes, and whether a class is open behind it."""
    c = pattern[i]
    if c == "\\":
        return *_escape(pattern, i, inside=inside), inside
    if not inside and c == "[":
        start = re.compile(r"\[\^?\]?").match(pattern, i)
        assert start is not None
        return len(start[0]), start[0].replace("]", "\\]"), True
    if inside and c == "[":
        posix = re.compile(r"\[:\^?[a-z]+:\]").match(pattern, i)
        if posix is None:
            raise _unsayable(pattern, "a class inside a class")
        return len(posix[0]), posix[0], True
    if inside and pattern[i : i + 2] in ("&&", "--", "~~"):
        raise _unsayable(pattern, "classes that are combined")
    return 1, c, inside and c != "]"


def _escape(pattern: str, i: int, *, inside: bool) -> tuple[int, str]:
    letter = pattern[i + 1 : i + 2]
    if letter in "pP":
        category = _CATEGORY.match(pattern, i)
        if category is None:
            raise _unsayable(pattern, "a property of letters that RE2 does not know")
        return len(category[0]), category[0]
    if letter in "dws":
        return 2, _CLASSES[letter] if inside else f"[{_CLASSES[letter]}]"
    if letter in "DWS":
        if inside:
            raise _unsayable(pattern, f"\\{letter} inside a class")
        return 2, f"[^{_CLASSES[letter.lower()]}]"
    return 2, pattern[i : i + 2]


def _unsayable(pattern: str, why: str) -> RuleError:
    return RuleError(f"the regular expression {pattern!r} cannot be said in SQL: it has {why}")
