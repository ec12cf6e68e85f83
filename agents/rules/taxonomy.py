"""What rules may lean on beside themselves: processing pipelines of one's own, lists for placeholders.

A pipeline is pySigma's, in YAML; it is applied before ours, so that what it maps to may be a Sigma field or a column.
Pipelines that fetch values from elsewhere (files, the network, commands) are refused: reading a rule has no effects.
A list fills the placeholder of its name in values with `expand`. It is a text file `lists/NAME.txt` below a folder of
rules (one value a line; empty lines and lines that begin with # count for nothing), or a document with `placeholders:
{NAME: [values]}` among the rules. Its values are read as Sigma reads values: `*` and `?` are wildcards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import FieldMappingTransformation, ValueListPlaceholderTransformation

from agents.rules.columns import FIELDS
from agents.rules.logsources import Route
from agents.rules.positions import Document, read_documents
from agents.rules.vendorfields import fields_of
from schemas.errors import RuleError

MAX_VALUES = 10_000  # of one list, and of one field of a rule; a longer one is refused
MAX_FILE_BYTES = 1_000_000
_EFFECTS = ("http_placeholders", "command_placeholders", "file_placeholders")

Lists = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Pipelines and lists that are in force.

    Attributes:
        pipelines: The user's, as they stand in their files, in the order of their priority.
        lists: Values by placeholder.
    """

    pipelines: tuple[dict[str, Any], ...] = ()
    lists: Lists = field(default_factory=dict)

    def pipeline(self, route: Route) -> ProcessingPipeline:
        """Everything that is done to a rule about some events before it is compiled; columns pass through."""
        mapping: dict[str | None, str | list[str]] = {}
        mapping.update({**FIELDS[route.kind], **fields_of(route)})
        ours = [ProcessingItem(FieldMappingTransformation(mapping), identifier="aupstream_fields")]
        filled = {name: list(listed) for name, listed in self.lists.items() if listed}
        if filled:
            ours.insert(0, ProcessingItem(ValueListPlaceholderTransformation(include=list(filled))))
        last = ProcessingPipeline(items=ours, vars=filled)
        return sum(map(ProcessingPipeline.from_dict, self.pipelines), start=ProcessingPipeline()) + last


NO_TAXONOMY = Taxonomy()


def read_pipelines(paths: Iterable[Path], errors: list[RuleError]) -> tuple[dict[str, Any], ...]:
    """Pipelines of files, and of `*.yml` and `*.yaml` in folders; what is wrong with any is noted."""
    found: list[tuple[int, dict[str, Any]]] = []
    for path in paths:
        files = sorted(p for p in path.iterdir() if p.suffix in (".yml", ".yaml")) if path.is_dir() else [path]
        for file in files:
            documents, wrong = read_documents(_text(file, errors), str(file))
            errors.extend(wrong)
            made = ((document, _pipeline(document, errors)) for document in documents)
            found += [(one.priority, document.data) for document, one in made if one is not None]
    return tuple(data for _, data in sorted(found, key=itemgetter(0)))


def _pipeline(document: Document, errors: list[RuleError]) -> ProcessingPipeline | None:
    items = document.data.get("transformations")
    for i, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict) and item.get("type") in _EFFECTS:
            what = f"{item['type']} fetches from elsewhere, which reading rules never does"
            errors.append(document.error(what, "transformations", i, "type", hint="put the values into a list"))
            return None
    try:
        return ProcessingPipeline.from_dict(document.data)
    except (SigmaError, TypeError, ValueError, AttributeError, KeyError) as error:
        what = f"this is no processing pipeline: {' '.join(str(error).split())[:300]}"
        errors.append(document.error(what, "transformations", hint="see pySigma's documentation of pipelines"))
        return None


def read_lists(folders: Iterable[Path], documents: Sequence[Document], errors: list[RuleError]) -> Lists:
    """Lists for placeholders, of text files below folders of rules and of documents among the rules."""
    lists: dict[str, tuple[str, ...]] = {}
    for folder in folders:
        for file in sorted(folder.rglob("lists/*.txt")) if folder.is_dir() else ():
            lines = (line.strip() for line in _text(file, errors).splitlines())
            lists[file.stem] = tuple(line for line in lines if line and not line.startswith("#"))
            if len(lists[file.stem]) > MAX_VALUES:
                errors.append(RuleError(f"list has more than {MAX_VALUES} values", where=str(file), hint="split it"))
                lists[file.stem] = ()
    for document in documents:
        lists.update(_placeholders(document, errors))
    return lists


def _placeholders(document: Document, errors: list[RuleError]) -> Lists:
    lists: dict[str, tuple[str, ...]] = {}
    named = document.data.get("placeholders")
    for name, values in named.items() if isinstance(named, dict) else ():
        plain = isinstance(values, list) and all(isinstance(v, str | int | float) for v in values)
        if not plain or len(values) > MAX_VALUES:
            what = f"placeholder {name!r} needs a list of at most {MAX_VALUES} texts or numbers"
            errors.append(document.error(what, "placeholders", name, hint="write it like [a, b]"))
            continue
        lists[name] = tuple(map(str, values))
    if not isinstance(named, dict):
        errors.append(document.error("placeholders must be a mapping", "placeholders", hint="write NAME: [a, b]"))
    return lists


def _text(path: Path, errors: list[RuleError]) -> str:
    """Content of a file; empty, and noted, where it cannot be read."""
    try:
        if path.stat().st_size <= MAX_FILE_BYTES:
            return path.read_bytes().decode("utf-8-sig")
        errors.append(RuleError(f"file has more than {MAX_FILE_BYTES} bytes", where=str(path), hint="split it"))
    except (OSError, UnicodeDecodeError) as error:
        errors.append(RuleError(f"cannot be read: {error}", where=str(path), hint="it must be UTF-8 text"))
    return ""
