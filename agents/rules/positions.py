"""YAML documents that know where each of their parts stands, so that every error can name file, line and column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from schemas.errors import RuleError

MAX_BYTES = 1_000_000  # a rule file larger than this is refused
MAX_NODES = 100_000  # aliases that expand to more than this are refused
MAX_DEPTH = 50

Path = tuple[str | int, ...]

_PLACE = re.compile(r"(.*?):(\d+)(?::(\d+))?", re.DOTALL)
_HALF = re.compile("[\\ud800-\\udfff]")  # what `"\\ud800"` makes of itself in YAML
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"
_QUICK: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # where PyYAML came with libyaml
_PLAIN = ("str", "int", "float", "bool", "null")


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document of a file.

    Attributes:
        data: The document as plain values; times stay text, because only their reader knows the zone.
        file: Name of the file as errors give it.
        line: First line, from 1.
        places: (line, column), from 1, of the value at each path; of a mapping's key under path + (`#key`,).
        elsewhere: (file, line, column) of what was written into it from another document, likewise.
    """

    data: dict[str, Any]
    file: str
    line: int
    places: Mapping[Path, tuple[int, int]]
    elsewhere: Mapping[Path, tuple[str, int, int]] = field(default_factory=dict)

    def where(self, *path: str | int, key: bool = False) -> str:
        """`file:line:column` of the value (or key) at a path, or of the nearest part around it."""
        around = [path[:end] for end in range(len(path), -1, -1)]
        for part in [(*path, "#key"), *around] if key else around:
            if part in self.elsewhere:
                return ":".join(map(str, self.elsewhere[part]))
            if part in self.places:
                return ":".join(map(str, (self.file, *self.places[part])))
        return f"{self.file}:{self.line}:1"

    def error(self, what: str, *path: str | int, hint: str = "", key: bool = False) -> RuleError:
        """A rule error at a path of this document."""
        return RuleError(what, where=self.where(*path, key=key), hint=hint)


def by_place(error: RuleError) -> tuple[str, int, int, str]:
    """Sorts errors as they stand: by file, line, column (as numbers) and words."""
    match = _PLACE.fullmatch(error.where)
    file, line, column = match.groups() if match else (error.where, 0, 0)
    return file, int(line), int(column or 0), error.what


class _Reader:
    """Turns the nodes of one document into plain values and remembers where they stood."""

    def __init__(self, loader: yaml.SafeLoader, file: str, errors: list[RuleError]) -> None:
        self.loader, self.file, self.errors = loader, file, errors
        self.places: dict[Path, tuple[int, int]] = {}
        self.nodes = 0

    def place(self, node: yaml.Node) -> str:
        return f"{self.file}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"

    def value(self, node: yaml.Node, path: Path) -> Any:
        """Plain value of a node.

        Raises:
            RuleError: the document is too large or too deep.
        """
        self.nodes += 1
        if self.nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise RuleError(
                f"document has more than {MAX_NODES} values or {MAX_DEPTH} levels once its aliases are expanded",
                where=self.place(node),
                hint="write it out without nested aliases",
            )
        self.places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        return self.scalar(node)

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _MERGE:
                self.errors.append(RuleError("a key must be plain text", where=self.place(key_node)))
                continue
            key = str(key_node.value)
            if _HALF.search(key):
                self._half(key_node)
                continue
            if key in found:
                self.errors.append(
                    RuleError(f"key {key!r} stands here twice", where=self.place(key_node), hint="keep one of them")
                )
                continue
            mark = key_node.start_mark
            self.places[(*path, key, "#key")] = (mark.line + 1, mark.column + 1)
            found[key] = self.value(value_node, (*path, key))
        return found

    def _half(self, node: yaml.Node) -> None:
        """Note that a text holds half a character, which cannot be written to a file nor be in an event."""
        hint = "write the character itself, or `\\U` and its eight digits"
        self.errors.append(RuleError("half a character (a surrogate) is no text", where=self.place(node), hint=hint))

    def scalar(self, node: yaml.Node) -> Any:
        if node.tag == _TIMESTAMP:
            return node.value
        if node.tag.rpartition(":")[2] not in _PLAIN:
            self.errors.append(RuleError(f"tag {node.tag!r} is not allowed in a rule", where=self.place(node)))
            return None
        if _HALF.search(node.value):
            self._half(node)
            return None
        try:
            return self.loader.construct_object(node)
        except (ValueError, IndexError, yaml.YAMLError) as error:
            self.errors.append(RuleError(f"value cannot be read: {error}", where=self.place(node)))
            return None


def read_documents(text: str, file: str) -> tuple[list[Document], list[RuleError]]:
    """Read a rule file.

    Args:
        text: Content of the file.
        file: Its name, for errors.

    Returns:
        The documents that could be read, empty ones left out, and everything that is wrong with the YAML.
    """
    errors: list[RuleError] = []
    documents: list[Document] = []
    if len(text) > MAX_BYTES:
        return [], [RuleError(f"file has more than {MAX_BYTES} characters", where=f"{file}:1:1", hint="split it")]
    deep = _too_deep(text, file)
    if deep is not None:
        return [], [deep]
    quick = _quickly(text, file)
    if quick is not None:
        return quick
    try:
        _compose(yaml.SafeLoader, text, file, documents, errors)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = f"{file}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
        errors.append(RuleError(f"character U+{ord(text[error.position]):04X} is not allowed in YAML", where=place))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else f"{file}:1:1"
        what = f"not YAML: {error.problem or error.context}"
        errors.append(RuleError(what, where=place, hint="check the indentation"))
    except RecursionError:
        errors.append(_deep(f"{file}:1:1"))
    return documents, errors


def _too_deep(text: str, file: str) -> RuleError | None:
    """What is wrong with a text of too many levels; None where there are few.

    Asked before nodes are made: that goes into itself once a level, and beyond some ten thousand the parser in C
    overflows the stack, which nothing can catch. Events come one after the other, however deep they stand.
    """
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_QUICK):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH + 1:
                    mark = event.start_mark
                    return _deep(f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else f"{file}:1:1")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except (yaml.YAMLError, ValueError):  # said with its place by who reads the text
        return None
    return None


def _deep(where: str) -> RuleError:
    return RuleError(f"more than {MAX_DEPTH} levels", where=where, hint="a rule needs a few")


def _quickly(text: str, file: str) -> tuple[list[Document], list[RuleError]] | None:
    """What the parser in C makes of a text, ten times as fast; None where it finds anything wrong.

    What is wrong is then said by the parser in Python, in its words and with its places.
    """
    if "\ufeff" in text or "\t" in text:  # which it lets stand where YAML does not
        return None
    errors: list[RuleError] = []
    documents: list[Document] = []
    try:
        _compose(_QUICK, text, file, documents, errors)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return None if errors else (documents, errors)


def _compose(
    parser: type[yaml.SafeLoader], text: str, file: str, documents: list[Document], errors: list[RuleError]
) -> None:
    loader = parser(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            document = None if node is None else _document(node, loader, file, errors)
            if document is not None:
                documents.append(document)
    finally:
        loader.dispose()


def _document(node: yaml.Node, loader: yaml.SafeLoader, file: str, errors: list[RuleError]) -> Document | None:
    reader = _Reader(loader, file, errors)
    line = node.start_mark.line + 1
    try:
        data = reader.value(node, ())
    except RuleError as error:
        errors.append(error)
        return None
    if data is None:
        return None
    if not isinstance(data, dict):
        errors.append(RuleError("a rule must be a mapping", where=f"{file}:{line}:1", hint="start with `title: ...`"))
        return None
    return Document(data=data, file=file, line=line, places=reader.places)
