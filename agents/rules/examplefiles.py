"""Examples in files of their own beside the rules: `NAME.examples.yml`, for rules that others write.

A file is one or more YAML documents, each with `rule` (a rule's name) and `examples` (a list, as under `aupstream:`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.rules.model import RuleSet
from agents.rules.positions import read_documents
from agents.rules.shape import KEYS, suggestion
from schemas.errors import AupstreamError, Errors, RuleError

ENDINGS = (".examples.yml", ".examples.yaml")


def is_example_file(path: Path) -> bool:
    """True for a file of examples, which holds no rules."""
    return path.name.endswith(ENDINGS)


def example_files(paths: Iterable[Path]) -> list[Path]:
    """Files of examples: those named, those in folders named, and those beside files of rules that are named."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(sorted(p for p in path.rglob("*.y*ml") if is_example_file(p))))
        elif is_example_file(path):
            found[path] = None
        else:
            beside = (path.with_name(path.stem + ending) for ending in ENDINGS)
            found.update(dict.fromkeys(p for p in beside if p.is_file()))
    return list(found)


def with_examples(rules: RuleSet, files: Iterable[Path]) -> RuleSet:
    """The rules with the examples of some files besides their own.

    Raises:
        Errors: of `RuleError`, everything that is wrong with any file.
    """
    errors: list[RuleError] = []
    added: dict[str, list[Mapping[str, Any]]] = {}
    known = {rule.id for rule in rules.rules}
    for path in files:
        try:
            text = path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            errors.append(RuleError(f"file cannot be read: {error}", where=str(path), hint="save it as UTF-8"))
            continue
        documents, wrong = read_documents(text, str(path))
        errors += wrong
        for document in documents:
            name, listed = document.data.get("rule"), document.data.get("examples")
            if name not in known:
                hint = suggestion(str(name), known)[:200]
                errors.append(document.error(f"there is no rule {name!r}", "rule", hint=hint))
            elif not isinstance(listed, list) or not all(isinstance(e, dict) for e in listed):
                errors.append(document.error("examples must be a list of mappings", "examples", hint="see README.md"))
            else:
                for i, example in enumerate(listed):
                    for key in example:
                        if key not in KEYS["example"]:
                            what, hint = f"unknown key {key!r} in example", suggestion(str(key), KEYS["example"])
                            errors.append(document.error(what, "examples", i, str(key), hint=hint, key=True))
                added.setdefault(str(name), []).extend(listed)
    if errors:
        raise Errors(list[AupstreamError](errors))
    return replace(rules, rules=tuple(replace(r, examples=(*r.examples, *added.get(r.id, ()))) for r in rules.rules))
