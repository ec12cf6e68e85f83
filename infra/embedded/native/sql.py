"""Just enough of SQL's lexical rules to tell what kind of statement came, and where an INSERT's data would start.

The engine parses; this only splits text into words, literals and signs, so that a keyword inside a string or a comment
is never taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from infra.embedded.native.constants import Code
from infra.embedded.native.faults import refuse

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|--[^\n]*|\#[\ !][^\n]*|/\*.*?\*/)
      | (?P<literal>'[^'\\]*(?:(?:\\.|'')[^'\\]*)*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<quoted>`[^`\\]*(?:\\.[^`\\]*)*` | "[^"\\]*(?:\\.[^"\\]*)*")
      | (?P<word>[A-Za-z_]\w*)
      | (?P<number>\d[\w.]*)
      | (?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_STREAMED: Final = ("SELECT", "WITH", "FROM", "(")
_FORMAT_NEAR_END: Final = re.compile(r"\bFORMAT\b", re.IGNORECASE)


class Kind(Enum):
    """How a statement is run."""

    SELECT = "its result is streamed"
    INSERT_DATA = "the client sends the rows"
    SESSION = "it changes the session: SET, USE"
    OTHER = "it is run as a whole"


@dataclass(frozen=True)
class Token:
    """A word, literal, quoted name or sign, and where it lies."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """In upper case if it is a bare word, the sign if it is one, else empty: never a literal's content."""
        return self.text.upper() if self.kind == "word" else self.text if self.kind == "sign" else ""


@dataclass(frozen=True)
class Statement:
    """A statement with its kind; ``text`` has no FORMAT clause and no closing semicolon.

    For `Kind.INSERT_DATA` ``text`` ends before VALUES or FORMAT.
    """

    kind: Kind
    text: str


def tokens(text: str) -> Iterator[Token]:
    """All tokens but spaces and comments."""
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup or "sign"
        if kind == "tag":
            kind = "literal"
        if kind != "space":
            yield Token(kind, found.group(), found.start(), found.end())


def understand(text: str) -> Statement:
    """What kind of statement it is. Raises `ServerError` 62 for an empty query or more than one statement."""
    text = _without_semicolon(text)
    first = next(tokens(text), None)
    if first is None:
        raise refuse(Code.SYNTAX_ERROR, "Syntax error: Empty query")
    if first.word == "INSERT":
        return _understand_insert(text)
    if first.word in ("SET", "USE"):
        return Statement(Kind.SESSION, text)
    text = _without_format(text)
    return Statement(Kind.SELECT if first.word in _STREAMED else Kind.OTHER, text)


def words(text: str) -> set[str]:
    """All bare words in upper case."""
    return {token.word for token in tokens(text) if token.kind == "word"}


def first_word(text: str) -> str:
    """The first keyword, or ``(``; empty when there is none."""
    first = next(tokens(text), None)
    return "" if first is None else first.word


def _without_semicolon(text: str) -> str:
    if ";" not in text:
        return text
    end = None
    for token in tokens(text):
        if token.text == ";":
            end = token.start if end is None else end
        elif end is not None:
            message = f"Syntax error: Multi-statements are not allowed: failed at position {token.start + 1}"
            raise refuse(Code.SYNTAX_ERROR, message)
    return text if end is None else text[:end]


def _without_format(text: str) -> str:
    """Cut ``FORMAT name``: a native client formats by itself, and the engine would obey."""
    if not _FORMAT_NEAR_END.search(text, max(0, len(text) - 4096)):
        return text
    depth, previous, cut = 0, None, None
    for token in tokens(text):
        depth += {"(": 1, ")": -1}.get(token.word, 0)
        if depth == 0 and previous is not None and previous.word == "FORMAT" and token.kind == "word":
            cut = (previous.start, token.end)
        previous = token
    return text if cut is None else text[: cut[0]] + text[cut[1] :]


def _understand_insert(text: str) -> Statement:
    """``INSERT INTO [TABLE|FUNCTION] where [(columns)] [SETTINGS …]`` and then what decides."""
    depth = 0
    for token in tokens(text):
        depth += {"(": 1, ")": -1}.get(token.word, 0)
        if depth != 0 or token.start == 0:
            continue
        if token.word in ("SELECT", "WITH", "WATCH"):
            return Statement(Kind.OTHER, text)
        if token.word == "VALUES":
            inline = bool(text[token.end :].strip())
            return Statement(Kind.OTHER, text) if inline else Statement(Kind.INSERT_DATA, text[: token.start])
        if token.word == "FORMAT":
            inline = len(text[token.end :].split()) > 1
            return Statement(Kind.OTHER, text) if inline else Statement(Kind.INSERT_DATA, text[: token.start])
        if token.word == "INFILE":
            return Statement(Kind.OTHER, text)
    return Statement(Kind.OTHER, text)


def insert_target(text: str) -> tuple[str, str]:
    """Of an INSERT without its data: the target as DESCRIBE takes it, and the column list in parentheses or empty.

    Raises `ServerError` 62 when it has no target.
    """
    parts = list(tokens(text))
    at = 2 if len(parts) > 1 and parts[1].word == "INTO" else 1
    if at + 1 < len(parts) and parts[at].word == "TABLE" and parts[at + 1].text != ".":
        at += 1
    if at >= len(parts):
        raise refuse(Code.SYNTAX_ERROR, "Syntax error: INSERT needs a table")
    start = parts[at].start
    if parts[at].word == "FUNCTION":
        at = _closing(parts, at + 2)
    while at + 2 < len(parts) and parts[at + 1].text == ".":
        at += 2
    target = text[start : parts[at].end]
    if at + 1 < len(parts) and parts[at + 1].text == "(":
        return target, text[parts[at + 1].start : parts[_closing(parts, at + 1)].end]
    return target, ""


def split_settings(text: str) -> tuple[str, str]:
    """An INSERT without its data, and the SETTINGS clause at its end or nothing."""
    depth = 0
    for token in tokens(text):
        depth += {"(": 1, ")": -1}.get(token.word, 0)
        if depth == 0 and token.word == "SETTINGS":
            return text[: token.start], text[token.start :]
    return text, ""


def _closing(parts: list[Token], at: int) -> int:
    """Index of the parenthesis that closes the one at ``at``."""
    depth = 0
    for index in range(at, len(parts)):
        depth += {"(": 1, ")": -1}.get(parts[index].word, 0)
        if depth == 0:
            return index
    raise refuse(Code.SYNTAX_ERROR, "Syntax error: a parenthesis is not closed")


def quote(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    """A quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
