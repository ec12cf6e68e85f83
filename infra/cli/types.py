"""`aupstream normalise --list`: the types of log that there are."""

from __future__ import annotations

from typing import Any

from infra.cli.output import json_text, line, table
from infra.config import Config
from streams.normalisers.custom.normaliser import CustomNormaliser
from streams.normalisers.registry import fields_of, types


def list_types(config: Config | None, *, as_json: bool) -> None:
    """Print every type, those of the configuration too: a table, or one JSON object each."""
    found = [_shipped(name) for name in types()]
    if config is not None:
        found += [_own(name, config) for name in config.formats]
    if as_json:
        for entry in found:
            line(json_text(entry))
        return
    rows = [(entry["type"], entry["kind"], entry["description"], entry["needs"]) for entry in found]
    table(("type", "kind", "what it reads", "what the vendor must be set to"), rows, whole=("type", "kind"))


def _shipped(name: str) -> dict[str, Any]:
    entry = types()[name]
    return {
        "type": name,
        "kind": entry.kind.value,
        "description": entry.description,
        "needs": entry.needs,
        "fields": list(fields_of(name)),
        "options": dict(entry.options),
        "page": f"streams/normalisers/pages/{name}.md",
    }


def _own(name: str, config: Config) -> dict[str, Any]:
    spec = config.formats[name]
    return {
        "type": name,
        "kind": spec.kind.value,
        "description": spec.description or f"a format of one's own: {spec.syntax}",
        "needs": "",
        "fields": list(CustomNormaliser.fields_of(spec)),
        "options": {},
        "page": "streams/normalisers/pages/custom.md",
    }
