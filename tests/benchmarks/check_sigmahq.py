"""Which of SigmaHQ's rules run here, and whether they say the same by every road.

Run as `python -m tests.benchmarks.check_sigmahq FOLDER`, the folder of their repository.

By group of log sources: how many there are, how many run as they are, how many once a district gives the lists that
their placeholders ask for, and for the rest the reasons. Windows' rules about logons are a group apart. The rules that
run are then held, over events made of their own values, against their conditions one by one (`scan`) and row by row
against a reader of its own that knows neither pySigma nor Polars (`slow`). Printed is one JSON object; exit 1 where any
differ.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from agents.engine.scan import Scanner
from agents.rules.columns import ColumnType, column_types, keyword_columns
from agents.rules.compiled import Compiled
from agents.rules.examples import frame_of
from agents.rules.loader import lint_files
from agents.rules.logsources import Unknown, route_of
from agents.rules.model import Detection
from agents.rules.reading import Beside
from agents.rules.triggers import literals
from agents.rules.vendorfields import codes_of
from schemas.kinds import EventKind
from tests.benchmarks.sigma_by_row import holds

ROWS = 400
LOGONS = frozenset("4624 4625 4634 4647 4648 4740 4768 4769 4771 4776 4777 4778 4779 4800 4801".split())
LIST = re.compile(r"the placeholder %(.+?)%")


def groups(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Rules by log source and file; those whose log is none that is read are one group."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for path in sorted(folder.glob("rules*/**/*.yml")):
        for document in yaml.load_all(path.read_text("utf-8"), yaml.CSafeLoader):
            if isinstance(document, dict) and "detection" in document:
                route = route_of(document["logsource"])
                source = document["logsource"]
                label = "/".join(str(source[k]) for k in ("product", "category", "service") if k in source)
                label = "not collected" if isinstance(route, Unknown) else label
                if label == "windows/security" and frozenset() < codes_of(document["detection"]) <= LOGONS:
                    label += ", logons"
                found.setdefault(label, {})[str(path)] = document
    return found


def events(detections: list[Detection], kind: EventKind, rng: random.Random) -> pl.DataFrame:
    """Events of texts that the rules look for, alone, together and cut."""
    texts: dict[str, list[str]] = {}
    for detection in detections:
        trigger = detection.expression.trigger if isinstance(detection.expression, Compiled) else None
        for literal in literals(trigger) if trigger is not None else ():
            texts.setdefault(literal.column, []).append(literal.text)
    everywhere = texts.pop("*", [""])
    rows = []
    for _ in range(ROWS):
        row: dict[str, Any] = {}
        for column, of_type in column_types(kind).items():
            pool = texts.get(column, everywhere)
            if of_type is ColumnType.TEXT and rng.random() < 0.6:
                row[column] = rng.choice(["", " ", "/"]).join(rng.choice(pool) for _ in range(rng.choice((1, 1, 2, 3))))
                row[column] = rng.choice((str.upper, str.lower, str.title, lambda t: t[1:], lambda t: t + "x"))(
                    row[column]
                )
            elif of_type is ColumnType.NUMBER and rng.random() < 0.6:
                row[column] = rng.choice((0, 1, 200, 401, 403, 404, 500))
            elif of_type is ColumnType.TEXTS and column in texts:
                row[column] = [rng.choice(pool) + rng.choice(("", "", "x")) for _ in range(rng.choice((0, 1, 2, 3)))]
        rows.append({c: v for c, v in row.items() if c in frame_of(kind, []).columns})
    return frame_of(kind, rows)


def compare(detections: list[Detection], documents: dict[str, dict[str, Any]], rng: random.Random) -> dict[str, int]:
    """Hits by scan, by condition and by row, and how many pairs of rule and row differ."""
    counts = Counter({"pairs": 0, "hits": 0, "scan_differs": 0, "slow_differs": 0})
    for kind in {d.kind for d in detections}:
        some = [d for d in detections if d.kind is kind]
        conditions = {d.name: d.expression for d in some if isinstance(d.expression, Compiled)}
        scanner = Scanner(conditions, keyword_columns(kind))
        scanner.find(frame_of(kind, [{"event_dataset": "x"}] * 20))
        frame = events(some, kind, rng)
        found, rows = scanner.find(frame), frame.rows(named=True)
        for detection in some:
            exact = frame.select(hit=conditions[detection.name].exact)["hit"].to_list()
            hits = set(found.filter(pl.col(detection.name))["row"]) if detection.name in found.columns else set()
            counts["pairs"] += len(exact)
            counts["hits"] += sum(exact)
            counts["scan_differs"] += sum((i in hits) is not hit for i, hit in enumerate(exact))
            slow = [holds(documents[detection.file], row, kind) for row in rows]
            counts["slow_differs"] += sum(a is not b for a, b in zip(exact, slow, strict=True))
    return dict(counts)


def table(folder: Path, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every group with its figures."""
    lint = lint_files([], Beside(collections=tuple(sorted(folder.glob("rules*")))))
    assert lint.ruleset is not None, lint.errors
    reasons: dict[str, set[str]] = {}
    for error in lint.left_out:
        reasons.setdefault(error.where.partition(":")[0], set()).add(error.what)
    filled = lint_files([], _with_lists(folder, {name for error in lint.left_out for name in LIST.findall(error.what)}))
    assert filled.ruleset is not None, filled.errors
    rng = random.Random(seed)
    for label, documents in sorted(groups(folder).items()):
        runs = [d for d in lint.ruleset.detections if d.file in documents]
        why = Counter(_short(what) for file in documents for what in reasons.get(file, ()))
        figures: dict[str, Any] = {"rules": len(documents), "run": len(runs)}
        if label != "not collected":
            figures["run_with_lists"] = sum(d.file in documents for d in filled.ruleset.detections)
            figures |= {"why_not": dict(why.most_common()), **(compare(runs, documents, rng) if runs else {})}
        yield label, figures


def _with_lists(folder: Path, names: set[str]) -> Beside:
    """The same rules, and a list of two values for each placeholder."""
    lists = Path(tempfile.mkdtemp()) / "lists"
    lists.mkdir()
    for name in names:
        (lists / f"{name}.txt").write_text("10.0.0.1\nnorth\n")
    return Beside(collections=(*sorted(folder.glob("rules*")), lists.parent))


def _short(what: str) -> str:
    return re.sub(r"^there is no field ('.*') in .*$", r"no column holds \1", what)[:120]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="SigmaHQ's repository")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    figures = dict(table(options.folder, options.seed))
    print(json.dumps(figures, indent=1))
    sys.exit(any(f.get("scan_differs") or f.get("slow_differs") for f in figures.values()))


if __name__ == "__main__":
    main()
