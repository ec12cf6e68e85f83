"""What is done to rule documents before rules are made of them: filters, lists, pipelines, collections.

A **collection** is a folder of other people's Sigma rules, taken as it is: what cannot run here (a log that is not
collected, a field that no column holds, a list that is not filled) is left out with the reason, and is no mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sigma.modifiers import SigmaWideModifier, modifier_mapping

from agents.rules.filters import filtered
from agents.rules.positions import Document
from agents.rules.taxonomy import NO_TAXONOMY, Taxonomy, read_lists, read_pipelines
from schemas.errors import RuleError


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside the rules.

    Attributes:
        collections: Folders and files of other people's rules, of which not all need be usable.
        pipelines: Folders and files of processing pipelines.
    """

    collections: tuple[Path, ...] = ()
    pipelines: tuple[Path, ...] = ()

    def lenient(self, file: str) -> bool:
        """True for a file of a collection."""
        roots = [str(path).rstrip("/") for path in self.collections]
        return any(file == root or file.startswith(root + "/") for root in roots)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Documents, ready to be made rules of.

    Attributes:
        documents: Without filters and lists.
        taxonomy: Pipelines and lists.
        lenient: True for a file of a collection.
    """

    documents: Sequence[Document]
    taxonomy: Taxonomy = NO_TAXONOMY
    lenient: Callable[[str], bool] = lambda _: False


def prepare(
    documents: Sequence[Document],
    folders: Iterable[Path],
    beside: Beside,
    errors: list[RuleError],
    left_out: list[RuleError] | None = None,
) -> Prepared:
    """Apply filters, and gather what rules lean on.

    Args:
        documents: Of all rule files.
        folders: Paths that they are of: lists are looked for there.
        beside: What else was configured.
        errors: Gets everything that is wrong.
        left_out: Gets what is wrong with the filters of a collection, where that is kept apart.
    """
    modifier_mapping.setdefault("utf16le", SigmaWideModifier)  # which the specification has, and pySigma has not
    lists = [d for d in documents if "placeholders" in d.data]

    def aside(document: Document) -> list[RuleError]:
        return left_out if left_out is not None and beside.lenient(document.file) else errors

    rules = filtered([d for d in documents if "placeholders" not in d.data], aside)
    taxonomy = Taxonomy(read_pipelines(beside.pipelines, errors), read_lists(folders, lists, errors))
    return Prepared(rules, taxonomy, beside.lenient)
