"""ClickHouse type names as trees: ``Array(Nullable(DateTime64(6, 'UTC')))``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_TOKEN: Final = re.compile(r"'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|[A-Za-z_]\w*|[-+]?\d+|[(),=.]")


@dataclass(frozen=True)
class TypeTree:
    """A type's name and its arguments; an argument that is no type (a number, a literal) is kept as its text."""

    name: str
    arguments: tuple[TypeTree, ...] = ()

    def number(self, index: int) -> int:
        """Argument ``index`` as a whole number."""
        return int(self.arguments[index].name)


@lru_cache(maxsize=4096)
def parse(text: str) -> TypeTree:
    """The tree of a type name. Raises `ValueError` when the parentheses do not match."""
    tokens = _TOKEN.findall(text)
    tree, used = _parse_one(tokens, 0)
    if used != len(tokens):
        raise ValueError(f"type name not understood: {text[:200]}")
    return tree


def _parse_one(tokens: list[str], at: int) -> tuple[TypeTree, int]:
    """One argument: its last word before a parenthesis, comma or end is the type (``a UInt8`` in a named tuple)."""
    name = ""
    while at < len(tokens) and tokens[at] not in (",", ")"):
        if tokens[at] == "(":
            arguments, at = _parse_arguments(tokens, at + 1)
            return _rest_skipped(TypeTree(name, arguments), tokens, at)
        name = tokens[at]
        at += 1
    return TypeTree(name), at


def _rest_skipped(tree: TypeTree, tokens: list[str], at: int) -> tuple[TypeTree, int]:
    """Skip what may follow an argument's parenthesis, such as the ``= 1`` of an enum's value."""
    while at < len(tokens) and tokens[at] not in (",", ")"):
        at += 1
    return tree, at


def _parse_arguments(tokens: list[str], at: int) -> tuple[tuple[TypeTree, ...], int]:
    arguments: list[TypeTree] = []
    while at < len(tokens):
        if tokens[at] == ")":
            return tuple(arguments), at + 1
        if tokens[at] == ",":
            at += 1
            continue
        tree, at = _parse_one(tokens, at)
        arguments.append(tree)
    raise ValueError("a parenthesis is not closed")
