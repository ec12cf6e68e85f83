from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.project.tree import MAX_LINES, ROOT, modules, text_of, tracked, word_faults

SCHEMAS = sorted((ROOT / "schemas" / "avro").rglob("*.avsc"))
MAX_FUNCTION_LINES = 40


def test_no_module_is_longer_than_can_be_read_at_once() -> None:
    long = {str(path): lines for path in modules() if (lines := len(text_of(path).splitlines())) > MAX_LINES}
    assert not long


def test_no_function_is_longer_than_a_screen() -> None:
    long = [fault for path in modules() for fault in _long_functions(path, text_of(path))]
    assert not long, "\n".join(long)


def test_no_place_of_one_machine_no_registry_and_nothing_left_open() -> None:
    faults = [fault for path in tracked() for fault in word_faults(path, text_of(path))]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "text", ["/w~ork/shared/x", "https://py~pi.org/simple", "# TO~DO later", "/ro~ot/.pyenv", "X~XX"]
)
def test_a_forbidden_word_is_found(text: str) -> None:
    assert word_faults(Path("x"), f"first line\n{text.replace('~', '')}\n")


def test_there_are_schemas() -> None:
    assert len(SCHEMAS) >= 8


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_record_and_field_of_a_schema_is_documented(path: Path) -> None:
    bare = [
        place for place, node in _documented(json.loads(path.read_text("utf-8"))) if not node.get("doc", "").strip()
    ]
    assert not bare, f"{path} has no doc at {bare}"


@pytest.mark.parametrize("script", ["infra/demo", "infra/test", ".ci/run"])
def test_the_commands_can_be_executed(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111


def _long_functions(path: Path, source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            doc = node.body[0].end_lineno if ast.get_docstring(node) else None
            start = doc + 1 if doc is not None else node.lineno
            if (length := node.end_lineno - start + 1) > MAX_FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines without its docstring"


def _documented(schema: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every record and field below a schema, with its path; enums and other named types belong to their field."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _documented(branch, place)
    elif isinstance(schema, dict):
        if schema.get("type") == "record":
            here = f"{place}/{schema['name']}"
            yield here, schema
            for field in schema["fields"]:
                yield f"{here}/{field['name']}", field
                yield from _documented(field["type"], f"{here}/{field['name']}")
        else:
            for key in ("type", "items", "values"):
                yield from _documented(schema.get(key), place)
