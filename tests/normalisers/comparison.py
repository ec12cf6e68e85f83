"""Comparison of a normaliser with other projects' parsers over public samples.

A table a sample format (`peers/<format>.toml`) says

- which of our types reads its lines (`type`), and where some are another's, `[[of]]` with a part of the case's `repo`,
  `path` or `id` and the `type`; the first that fits counts. Where a fragment lacks a syslog header, `header` names the
  program of the one that it is given;
- `[rejects]`: cases that must become dead letters, by id, with the reason;
- `[keys."repository"]`: which key of that peer is which column of ours, and by which transform the two are made
  comparable. Every key for which we have a column is there; keys that are not: the peer's own taxonomy and tags, host
  names of the test bench, the raw message;
- `[[disagreements]]`: every field in which the two differ, who is `right` (`us`, `peer` or `neither`) and `why`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from streams.normalisers.abstract import LineChunk, Normalised, Normaliser, NormaliserSettings
from streams.normalisers.registry import make
from streams.normalisers.syslog import split
from tests.normalisers.transforms import NOT_STATED, TRANSFORMS

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / ".." / "shared" / "samples"
HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"


@dataclass(frozen=True)
class Case:
    """One line of the samples, and what the peer makes of it (keys of nested objects joined by dots)."""

    id: str
    repo: str
    path: str
    raw: str
    expected: Mapping[str, Any]


@dataclass(frozen=True)
class Key:
    """A peer's key, our column (or several joined by a sign: `user_name@user_domain`), and a transform."""

    key: str
    column: str
    transform: str = "text"


@dataclass(frozen=True)
class Comparison:
    """One field of one case."""

    case: str
    key: str
    column: str
    theirs: Any
    ours: Any

    @property
    def agrees(self) -> bool:
        return bool(self.theirs == self.ours)


@dataclass
class Tally:
    """What the cases of a format became."""

    lines: int = 0
    fates: dict[str, int] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)

    @property
    def disagreements(self) -> list[Comparison]:
        return [c for c in self.comparisons if not c.agrees]

    def report(self, name: str) -> str:
        total = len(self.comparisons)
        agree = total - len(self.disagreements)
        fates = ", ".join(f"{count} {fate}" for fate, count in sorted(self.fates.items()))
        share = agree / max(total, 1)
        return f"{name}: {self.lines} lines ({fates}); {agree} of {total} compared fields agree ({share:.1%})"


def cases(sample_format: str, samples: Path = SAMPLES) -> list[Case]:
    """Cases of a format that have a line, in the order of the file."""
    found = []
    with (samples / "cases.jsonl").open(encoding="utf-8") as file:
        for line in file:
            case = json.loads(line)
            if case["format"] == sample_format and case["raw"] is not None:
                expected = case["expected"] if isinstance(case["expected"], dict) else {}
                stated = expected if case["expected_kind"] == "fields" else {}
                found.append(Case(case["id"], case["repo"], case["path"], case["raw"], flatten(stated)))
    return found


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects to one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            flat.update(flatten(inner, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = inner
    return flat


@dataclass(frozen=True)
class Table:
    """What `peers/<format>.toml` says."""

    sample_format: str
    type: str
    header: str
    of: Sequence[Mapping[str, str]]
    rejects: Mapping[str, str]
    keys: Mapping[str, list[Key]]
    disagreements: Mapping[tuple[str, str], Mapping[str, str]]

    def _entry(self, case: Case) -> Mapping[str, str]:
        for entry in self.of:
            if all(entry[part] in getattr(case, part) for part in ("id", "repo", "path", "raw") if part in entry):
                return entry
        return {}

    def type_of(self, case: Case) -> str:
        return self._entry(case).get("type", self.type)

    def whole_line(self, case: Case) -> str:
        header = self._entry(case).get("header", self.header)
        if not header or split(case.raw) is not None:
            return case.raw
        return f"Jan  1 00:00:00 host {header}[1]: {case.raw}"


def table(sample_format: str) -> Table:
    said = tomllib.loads((PEERS / f"{sample_format}.toml").read_text(encoding="utf-8"))
    keys = {repo: [Key(key, **entry) for key, entry in own.items()] for repo, own in said.get("keys", {}).items()}
    listed = {(entry["case"], entry["key"]): entry for entry in said.get("disagreements", [])}
    return Table(
        sample_format, said["type"], said.get("header", ""), said.get("of", []), said.get("rejects", {}), keys, listed
    )


def tables() -> list[str]:
    return sorted(path.stem for path in PEERS.glob("*.toml"))


def load_keys(path: Path, sample_format: str) -> dict[str, list[Key]]:
    """Keys by repository, of one format, from a committed table."""
    said = tomllib.loads(path.read_text(encoding="utf-8"))[sample_format]
    return {repo: [Key(key, **entry) for key, entry in keys.items()] for repo, keys in said.items()}


def load_disagreements(path: Path, sample_format: str) -> dict[tuple[str, str], Mapping[str, str]]:
    """Listed disagreements of one format by (case, key)."""
    listed = tomllib.loads(path.read_text(encoding="utf-8")).get(sample_format, [])
    return {(entry["case"], entry["key"]): entry for entry in listed}


def one_line(normaliser: Normaliser, line: str) -> Normalised:
    """What becomes of a line alone."""
    return normaliser.normalise(LineChunk([line.encode()], [0]))


def compare(case: Case, row: Mapping[str, Any] | None, keys: Iterable[Key]) -> list[Comparison]:
    """All mapped fields that the peer states of a case; `row` is our event, or None where there is none."""
    compared = []
    for key in keys:
        if key.key not in case.expected:
            continue
        to_ours, of_ours = TRANSFORMS[key.transform]
        theirs = to_ours(case.expected[key.key])
        if theirs is NOT_STATED:
            continue
        ours = None if row is None else of_ours(_column(row, key.column))
        compared.append(Comparison(case.id, key.key, key.column, theirs, ours))
    return compared


def fresh(type_name: str) -> Normaliser:
    return make(type_name, NormaliserSettings(first_seen=date(2024, 12, 31)))


def tally(found: Sequence[Case], said: Table) -> Tally:
    """Every case as a source of its own, compared where it is not ignored."""
    result = Tally()
    for case in found:
        normaliser = fresh(said.type_of(case))
        out = one_line(normaliser, said.whole_line(case))
        rows = out.events.to_dicts()
        if not rows and normaliser.open_lines:
            finished = normaliser.finish()
            rows = finished.events.to_dicts() if finished is not None else []
        fate = "events" if rows else (f"ignored: {out.ignored[0][1]}" if out.ignored else "")
        fate = fate or (f"dead letter: {out.rejects[0].reason}" if out.rejects else "lost")
        result.lines += 1
        result.fates[fate] = result.fates.get(fate, 0) + 1
        if not out.ignored:
            result.comparisons += compare(case, rows[0] if rows else None, said.keys.get(case.repo, []))
    return result


def _column(row: Mapping[str, Any], column: str) -> Any:
    for sign in ("@", ":"):
        if sign in column:
            parts = [row[name] for name in column.split(sign)]
            return sign.join(str(part) for part in parts if part is not None) or None
    return row[column]
