"""What `aupstream score` does."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from infra.cli.failures import FINDINGS
from infra.cli.output import json_line, line, table, talk
from infra.cli.reading import need_stdin
from infra.scoring.score import Clause, findings, score, total
from infra.scoring.truth import read_truth
from schemas.errors import InputError


def run(truth: Path, violations: str, least: tuple[float, float], *, as_json: bool) -> None:
    """Print figures by clause. Exits with 1 where precision or recall of all is below what is asked for.

    Args:
        truth: `truth.json` or its folder.
        violations: File of JSON lines; `-` for standard input.
        least: Precision and recall that are asked for; 0 for nothing.
        as_json: One JSON object.

    Raises:
        InputError: a file cannot be read, or is something else.
    """
    deeds, innocent = read_truth(truth)
    clauses = score(deeds, innocent, findings(_records(violations), violations))
    whole = total(clauses.values())
    if as_json:
        json_line({**_plain(whole), "clauses": {str(c): _plain(one) for c, one in clauses.items()}})
    else:
        rows = [_row(str(c), one) for c, one in clauses.items()]
        columns = ("clause", "expected", "hits", "missed", "false", "precision", "recall", "informed")
        table(columns, [*rows, _row("all", whole)])
        for what, entries in (("missed", whole.missed), ("false", whole.false)):
            for entry in entries:
                line(f"{what}: {entry}")
    precision, recall = whole.precision, whole.recall
    if (precision is not None and precision < least[0]) or (recall is not None and recall < least[1]):
        talk("below what was asked for")
        raise typer.Exit(FINDINGS)


def _records(name: str) -> list[Mapping[str, Any]]:
    if name == "-":
        need_stdin()
        text = sys.stdin.read()
    else:
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"violations cannot be read: {error}", where=name) from error
    found = []
    for number, one in enumerate(text.splitlines(), 1):
        try:
            found.append(json.loads(one))
        except ValueError as error:
            hint = "give what `aupstream backtest` or `aupstream violations --json` prints"
            raise InputError(f"this is no JSON: {error}", where=f"{name}:{number}", hint=hint) from error
    return found


def _plain(one: Clause) -> dict[str, Any]:
    return {
        "expected": one.hits + len(one.missed), "hits": one.hits, "false": len(one.false),
        "precision": one.precision, "recall": one.recall, "informed": one.informed,
        "missed": one.missed, "accused": one.false,
    }  # fmt: skip


def _row(name: str, one: Clause) -> tuple[object, ...]:
    figures = [f"{value:.3f}" if value is not None else "-" for value in (one.precision, one.recall)]
    return (name, one.hits + len(one.missed), one.hits, len(one.missed), len(one.false), *figures, one.informed)
