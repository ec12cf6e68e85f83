"""Where each key of a TOML file stands, so that a mistake in it can name line and column.

The values are the standard library's business; this only finds places, with the grammar of tree-sitter.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

Path = tuple[str | int, ...]
Place = tuple[int, int]

_LANGUAGE = Language(tree_sitter_toml.language())


def places(text: str) -> Mapping[Path, Place]:
    """(line, column), from 1, of the key at each path; in arrays of each element too, by index.

    Args:
        text: A TOML document that `tomllib` takes; of another one, what could be told.
    """
    found = _Places(text.encode())
    found.document(Parser(_LANGUAGE).parse(text.encode()).root_node)
    return found.by_path


def nearest(by_path: Mapping[Path, Place], path: Path) -> Place | None:
    """Place of the key at a path, or of the nearest one around it that is there."""
    for end in range(len(path), 0, -1):
        if path[:end] in by_path:
            return by_path[path[:end]]
    return None


class _Places:
    def __init__(self, source: bytes) -> None:
        self.by_path: dict[Path, Place] = {}
        self._lines = source.split(b"\n")
        self._elements: dict[Path, int] = {}  # of arrays of tables: how many so far

    def document(self, root: Node) -> None:
        """All top-level keys and tables."""
        for node in root.children:
            if node.type == "pair":
                self._pair(node, ())
            elif node.type in ("table", "table_array_element"):
                self._table(node)

    def _table(self, node: Node) -> None:
        keys = [child for child in node.children if child.type in ("bare_key", "quoted_key", "dotted_key")]
        if not keys:
            return
        path = self._resolved(self._parts(keys[0]), last=node.type == "table")
        if node.type == "table_array_element":
            self._elements[path] = self._elements.get(path, -1) + 1
            self.by_path.setdefault(path, self._place(keys[0]))
            path = (*path, self._elements[path])
        self._note(path, keys[0])
        for child in node.children:
            if child.type == "pair":
                self._pair(child, path)

    def _resolved(self, parts: list[str], *, last: bool) -> Path:
        """A table's name as a path: where a part is an array of tables, its newest element is meant."""
        path: Path = ()
        for number, part in enumerate(parts):
            path = (*path, part)
            if path in self._elements and (last or number + 1 < len(parts)):
                path = (*path, self._elements[path])
        return path

    def _pair(self, node: Node, around: Path) -> None:
        key, value = node.children[0], node.children[-1]
        path = around
        for part in self._parts(key):
            path = (*path, part)
            self._note(path, key)
        self._value(value, path)

    def _value(self, node: Node, path: Path) -> None:
        if node.type == "inline_table":
            for child in node.children:
                if child.type == "pair":
                    self._pair(child, path)
        elif node.type == "array":
            elements = [child for child in node.children if child.type not in ("[", "]", ",", "comment")]
            for number, child in enumerate(elements):
                self._note((*path, number), child)
                self._value(child, (*path, number))

    def _parts(self, key: Node) -> list[str]:
        if key.type == "dotted_key":
            return [part for child in key.children if child.type != "." for part in self._parts(child)]
        text = (key.text or b"").decode()
        if key.type == "quoted_key":
            try:
                return [str(ast.literal_eval(text))]
            except (ValueError, SyntaxError):
                return [text.strip("\"'")]
        return [text]

    def _note(self, path: Path, node: Node) -> None:
        self.by_path.setdefault(path, self._place(node))

    def _place(self, node: Node) -> Place:
        row, column = node.start_point.row, node.start_point.column
        return row + 1, len(self._lines[row][:column].decode("utf-8", "replace")) + 1
