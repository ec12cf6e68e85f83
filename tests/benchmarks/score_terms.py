"""Precision and recall by clause over simulated terms: `python -m tests.benchmarks.score_terms`.

For each seed a term is simulated, its raw logs are judged by `aupstream backtest` with the whole policy pack, and what
was found is held against the truth. `--write README.md` puts the table between the marks there. A seed on which a rule
was tuned says nothing: take others than those of an earlier run whose misses were mended. Every miss and every false
accusation is printed, with the innocent cause where the truth knows it; and so is what a rule that only informs told of
somebody innocent, which is no accusation, but noise.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.scoring.score import Clause, Finding, findings, score, total
from infra.scoring.truth import Deed, Innocent, read_truth

SEEDS = (311, 312, 313, 314, 315)
BEGIN, END = "<!-- scores: python -m tests.benchmarks.score_terms --write README.md -->", "<!-- end of scores -->"
_AUPSTREAM = (sys.executable, "-m", "infra.cli")


def scored(seed: int, lines: int, schools: int, days: int, folder: Path) -> tuple[dict[int, Clause], list[str]]:
    """Figures by clause of one term, and what was told of the innocent.

    Raises:
        subprocess.CalledProcessError: the simulation or the backtest failed.
    """
    size = ("--schools", str(schools), "--days", str(days), "--lines", str(lines), "--seed", str(seed))
    subprocess.run([*_AUPSTREAM, "simulate", "--term", *size, str(folder)], check=True, capture_output=True)
    judged = subprocess.run(
        [*_AUPSTREAM, "backtest", "--config", str(folder / "aupstream.toml")],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    deeds, innocent = read_truth(folder)
    records = [json.loads(line) for line in judged.stdout.splitlines()]
    found = findings(records, f"seed {seed}")
    return score(deeds, innocent, found), told(deeds, innocent, found)


def told(deeds: Sequence[Deed], innocent: Sequence[Innocent], found: Sequence[Finding]) -> list[str]:
    """What rules that never accuse told of people who only look like it."""
    accusing = {deed.rule for deed in deeds if deed.status != "informational"}
    return [
        f"{one.rule}: {one.first.isoformat()} {x.who}: {x.kind}: {x.why}"
        for one in found
        for x in innocent
        if x.rule == one.rule and one.rule not in accusing and x.who in one.who
    ]


def together(runs: Sequence[Mapping[int, Clause]]) -> dict[int, Clause]:
    """Figures by clause of all runs, one after the other."""
    return {c: total([run[c] for run in runs if c in run]) for c in sorted({c for run in runs for c in run})}


def table(by_clause: Mapping[int, Clause]) -> str:
    """The figures as a table in Markdown."""
    rows = ["| Clause | Hidden | Found | Missed | False | Precision | Recall |", "|---|---|---|---|---|---|---|"]
    for name, one in [*((str(c), f) for c, f in by_clause.items()), ("all", total(by_clause.values()))]:
        shares = [f"{share:.3f}" if share is not None else "-" for share in (one.precision, one.recall)]
        counts = (one.hits + len(one.missed), one.hits, len(one.missed), len(one.false))
        rows.append("| " + " | ".join([name, *map(str, counts), *shares]) + " |")
    return "\n".join(rows)


def write(path: Path, text: str) -> None:
    """Put a text between the marks of a file.

    Raises:
        ValueError: the marks are not there.
    """
    whole = path.read_text("utf-8")
    before, found, rest = whole.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        message = f"{path} has no place for the table: put `{BEGIN}` and `{END}` on lines of their own"
        raise ValueError(message)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--schools", type=int, default=4)
    parser.add_argument("--days", type=int, default=40)
    parser.add_argument("--write", type=Path, help="file with the marks that gets the table")
    options = parser.parse_args()
    runs = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            run, noise = scored(seed, options.lines, options.schools, options.days, Path(folder) / "term")
        runs.append(run)
        whole = total(runs[-1].values())
        print(f"seed {seed}: precision {whole.precision:.3f}, recall {whole.recall:.3f}", file=sys.stderr)
        for what, entries in (("missed", whole.missed), ("false", whole.false), ("told of the innocent", noise)):
            for entry in entries:
                print(f"seed {seed}: {what}: {entry}")
    text = table(together(runs))
    print(text)
    if options.write:
        seeds = ", ".join(map(str, options.seeds))
        size = f"{len(runs)} terms of {options.lines:,} lines, {options.schools} schools, {options.days} school days"
        write(options.write, f"{text}\n\n{size}; seeds {seeds}.")


if __name__ == "__main__":
    main()
