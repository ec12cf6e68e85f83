"""`aupstream demo`: a simulated day through the whole road, and what came of it."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from agents.build import district_of
from agents.privacy.columns import Names
from agents.privacy.keys import read
from agents.privacy.pseudonyms import Pseudonymiser
from agents.privacy.records import group_key
from infra.cli.auditing import Audited, audited
from infra.cli.failures import FINDINGS, TROUBLE
from infra.cli.output import flush, json_line, line, printable, talk
from infra.cli.records import has_violation, show_table
from infra.cli.serving import keep, terminable, ticker
from infra.cli.standing import Filters, standing
from infra.cli.store import Store
from infra.config import ClickHouse, Config, Kafka, load
from infra.run.system import System
from infra.simulate import Truth, simulate
from infra.simulate.context import CONFIG
from schemas.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Wanted:
    """See the command's options."""

    once: bool
    as_json: bool
    seed: int
    lines: int
    data: Path | None
    fail: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the day."""

    truth: Truth
    sources: Sequence[Audited]
    violations: Sequence[dict[str, Any]]
    seconds: float

    @property
    def missed(self) -> list[dict[str, Any]]:
        """Expected ones that were not found."""
        expected = map(asdict, self.truth.expected)
        return [e for e in expected if not any(_is(v, e) for v in self.violations)]

    @property
    def unexpected(self) -> list[dict[str, Any]]:
        """Found ones that nobody hid in the logs."""
        expected = [asdict(e) for e in self.truth.expected]
        return [v for v in self.violations if not any(_is(v, e) for e in expected)]

    @property
    def problems(self) -> list[str]:
        """Breaches of the law of conservation."""
        written = sum(self.truth.lines.values())
        read = sum(s.lines for s in self.sources)
        lost = [] if read == written else [f"{written} lines were written, {read} were read"]
        return lost + [f"{s.source}: {problem}" for s in self.sources for problem in s.problems]

    @property
    def good(self) -> bool:
        """True where all is as it should be."""
        return not (self.missed or self.unexpected or self.problems)

    def to_json(self) -> dict[str, Any]:
        """The object of `--json`."""
        ignored: Counter[str] = Counter()
        for source in self.sources:
            ignored.update(source.ignored)
        missed = self.missed
        return {
            "lines": sum(s.lines for s in self.sources),
            "lines_in_events": sum(s.in_events for s in self.sources),
            "events": sum(s.events_stored for s in self.sources),
            "dead_letters": sum(s.dead_letters for s in self.sources),
            "open_joins": sum(s.open_joins for s in self.sources),
            "expected": len(self.truth.expected),
            "found": len(self.truth.expected) - len(missed),
            "missed": missed,
            "unexpected": self.unexpected,
            "ignored": dict(sorted(ignored.items())),
            "violations": dict(sorted(Counter(v["rule_id"] for v in self.violations).items())),
            "seconds": round(self.seconds, 1),
        }


def run(wanted: Wanted) -> None:
    """Show the demo; end with 4 where it did not come out as it should.

    Raises:
        AupstreamError: something is wrong or missing.
        EmbeddedError: the servers cannot be started.
    """
    folder = _folder(wanted.data)
    try:
        _show(wanted, folder)
    finally:
        if wanted.data is None:
            shutil.rmtree(folder, ignore_errors=True)


def _folder(named: Path | None) -> Path:
    """An empty folder.

    Raises:
        ConfigError: the one that was named is not.
    """
    if named is None:
        return Path(tempfile.mkdtemp(prefix="aupstream-demo-"))
    try:
        named.mkdir(parents=True, exist_ok=True)
        taken = any(named.iterdir())
    except OSError as error:
        raise ConfigError(
            f"this cannot be the folder: {error.strerror}", where=str(named), hint="name another"
        ) from error
    if taken:
        hint = "name a new one, or remove what an earlier demo left there"
        raise ConfigError("the folder is not empty", where=str(named), hint=hint)
    return named.absolute()


def _show(wanted: Wanted, folder: Path) -> None:
    began = time.monotonic()

    def say(sentence: str) -> None:
        talk(f"[{time.monotonic() - began:5.1f} s] {sentence}")

    say(f"simulating a school day of {wanted.lines} lines (seed {wanted.seed})")
    truth = simulate(wanted.seed, wanted.lines, folder / "day")
    file = folder / "day" / CONFIG
    embedded = {"data": folder / "data", "kafka": Kafka(), "clickhouse": ClickHouse()}
    config = load(file).model_copy(update=embedded)
    system = System(config, file, say)
    say("starting Kafka and ClickHouse")
    outcome: Outcome | None = None
    with terminable(system.stop):
        system.start()
        say("collectors and agents at work")
        system.wait_until_drained(ticker(system))
        outcome = _outcome(system, _as_seen(truth, config), began)
        say("all is through")
        _tell(outcome, wanted)
        if not wanted.once:
            command = f"aupstream violations --config {file} --data {config.data}"
            talk(f"the servers stay up until Ctrl-C; try: {command}")
            keep(system)
    if outcome is None:  # told to stop before it was through
        raise typer.Exit(TROUBLE)
    if not outcome.good:
        raise typer.Exit(TROUBLE)
    if wanted.fail and has_violation(outcome.violations):
        raise typer.Exit(FINDINGS)


def _as_seen(truth: Truth, config: Config) -> Truth:
    """The truth with pseudonyms in place of names, as what is found has them."""
    privacy = config.privacy
    if not privacy.on:
        return truth
    names = Names(Pseudonymiser(read(privacy.keys(config.data))), district_of(config.district))
    expected = [replace(e, group_key=group_key(names, e.group_key)) for e in truth.expected]
    return replace(truth, expected=type(truth.expected)(expected))


def _outcome(system: System, truth: Truth, began: float) -> Outcome:
    store = Store(system.clickhouse)
    try:
        violations, sources = standing(store, Filters(), evidence=False), audited(store)
    finally:
        store.close()
    return Outcome(truth, sources, violations, time.monotonic() - began)


def _tell(outcome: Outcome, wanted: Wanted) -> None:
    if wanted.as_json:
        json_line(outcome.to_json())
    else:
        _tell_people(outcome)
    flush()
    for problem in outcome.problems:
        talk(printable(problem))


def _tell_people(outcome: Outcome) -> None:
    figures = outcome.to_json()
    show_table(outcome.violations)
    ignored = sum(figures["ignored"].values())
    line(
        f"{figures['lines']} lines = {figures['lines_in_events']} in {figures['events']} events + "
        f"{figures['dead_letters']} dead letters + {ignored} ignored + {figures['open_joins']} in open joins"
    )
    line(
        f"{figures['found']} of {figures['expected']} hidden violations found, {len(figures['missed'])} missed, "
        f"{len(figures['unexpected'])} unexpected, in {figures['seconds']} s"
    )
    for name in ("missed", "unexpected"):
        for violation in figures[name]:
            line(f"{name}: {printable(json.dumps(violation, ensure_ascii=False))}")


def _is(violation: dict[str, Any], expected: dict[str, Any]) -> bool:
    """True where a violation is the one that was hidden; its rule may be kept per more than whom it is about."""
    same = (violation["rule_id"], violation["status"]) == (expected["rule_id"], expected["status"])
    first = [datetime.fromisoformat(one["first_seen"]) for one in (violation, expected)]
    return same and first[0] == first[1] and expected["group_key"].items() <= violation["group_key"].items()
