"""The agents' stages give what one process gives, in any order of work, with restarts anywhere."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.delivery.correlate import CorrelateStage
from agents.delivery.detect import DetectStage
from agents.delivery.detectors import Detectors
from agents.delivery.feed import Context
from agents.delivery.identify import IdentifyStage
from agents.delivery.link import Link
from agents.delivery.rulebook import Always, Announced, InForce, Period, announcement
from agents.delivery.stage import Message, Output, Stage
from agents.engine.correlate import Bucket, RuleTime
from agents.engine.detect import Detector
from agents.engine.episodes import Judge, Records
from agents.engine.identity import FactIndex, facts_of
from agents.engine.pipeline import last_versions, run
from agents.engine.rows import rows_of
from agents.rules.bundle import RuleSources, pack_rules
from agents.rules.examples import Example, read_example
from agents.rules.loader import POLICY_FOLDER, load_rules
from agents.rules.model import RuleSet
from schemas.codec import decode
from schemas.headers import FOREVER, NEVER
from schemas.kinds import DETECTIONS, SOURCES, VIOLATIONS, EventKind
from schemas.records import decode_record
from tests.agents.bus import Bus, FeedReader, Worker, run_dry
from tests.agents.collecting import SentSource, batches, register, sourced
from tests.agents.simulated import day

P, Q = 3, 2


@dataclass(frozen=True)
class Given:
    """What events are judged against."""

    district: District
    inventory: Inventory
    judge: Judge


@cache
def rules() -> RuleSet:
    return load_rules()


@cache
def examples() -> list[Example]:
    """Every example of the policy's rules that has events."""
    read = [read_example(raw, rule.id) for rule in rules().rules for raw in rule.examples]
    return [e for e in read if any(f.height for f in e.frames.values())]


def in_one_process(sent: list[SentSource], context: Given) -> Records:
    return in_one_process_of(rules(), sent, context)


def in_one_process_of(ruleset: RuleSet, sent: list[SentSource], context: Given) -> Records:
    frames = [(s.kind, s.frame) for s in sent]
    return run(ruleset, context.district, context.inventory, context.judge, frames)


Make = Callable[[Context], InForce]


def on_a_bus(
    sent: list[SentSource],
    given: Given,
    seed: int,
    chaos: float,
    rows: list[int],
    make: Make = lambda _: Always(rules()),
    said: Sequence[Period] = (),
) -> Records:
    bus, rng = Bus(), random.Random(seed)
    bus.send(Output(SOURCES, 0, json.dumps(announcement(period)).encode()) for period in said)
    bus.send(register(sent))
    streams = [batches(s, rng.choice(rows), P, len(sent) + len(said) - 1) for s in sent]
    while any(streams):
        bus.send([rng.choice([s for s in streams if s]).pop(0)])
    context = Context(P)
    in_force = make(context)
    detectors = Detectors(in_force, lambda ruleset: Detector(ruleset, given.district, given.inventory))
    feeds = [FeedReader(bus, context)]
    feeds[0].step()

    def detect(topic: str, p: int) -> Stage:
        kind = EventKind(topic.rpartition(".")[2])
        return DetectStage(topic, p, kind, detectors, context, partitions=Q)

    def correlate(topic: str, p: int) -> Stage:
        del topic
        present = given.inventory.present
        calendar = given.district.calendar
        return CorrelateStage(in_force, given.judge, context, inventory=present, calendar=calendar, partition=(p, Q))

    def identify(topic: str, p: int) -> Stage:
        return IdentifyStage(topic, p, EventKind(topic.rpartition(".")[2]))

    workers = [Worker.start(bus, k.topic, p, detect) for k in EventKind for p in range(P)]
    workers += [Worker.start(bus, k.topic, p, identify) for k in (EventKind.DHCP, EventKind.LOGIN) for p in range(P)]
    workers += [Worker.start(bus, DETECTIONS, q, correlate) for q in range(Q)]
    run_dry(workers, feeds, rng.choice, chaos)
    return _written(bus)


def _written(bus: Bus) -> Records:
    """Last versions on the topic; an id and version has one content."""
    written = [decode_record(m.value)[1] for (topic, _), log in bus.logs.items() if topic == VIOLATIONS for m in log]
    versions: dict[tuple[str, int], object] = {}
    for record in written:
        same = versions.setdefault((record["id"], record["version"]), record)
        assert same == record, "the same id and version with other content"
    return last_versions(written)


def in_one_process_by_version(sent: list[SentSource], in_force: InForce, given: Given) -> Records:
    """Whole logs at once: rows before a start by the rules before, the others by those from it on."""
    periods = in_force.periods()
    sets = [in_force.ruleset(period.version) for period in periods]
    bucket = Bucket({r.id: r for r in sets[0].rules}, given.judge, inventory=given.inventory.present)
    facts = FactIndex()
    for source in sent:
        facts.add(facts_of(source.frame, source.kind))
    records: Records = []
    starts = [period.start for period in periods]
    for number, (start, ruleset) in enumerate(zip(starts, sets, strict=True)):
        if number:
            bucket.follow(start, {r.id: r for r in ruleset.rules})
        detector = Detector(ruleset, given.district, given.inventory)
        end = starts[number + 1] if number + 1 < len(starts) else FOREVER
        for source in sent:
            t = pl.col("timestamp").dt.timestamp("us")
            part = source.frame.filter((t >= start) & (t < end))
            records += bucket.take(rows_of(detector.detect(part, source.kind, facts)))
    kinds = {rule.id: rule.kinds for ruleset in sets for rule in ruleset.rules}
    first = {
        kind: min(int(s.frame["timestamp"].dt.timestamp("us").min()) for s in sent if s.kind is kind)  # type: ignore[arg-type]
        for kind in {s.kind for s in sent}
    }
    times = {r: RuleTime(FOREVER, min((first[k] for k in ks if k in first), default=None)) for r, ks in kinds.items()}
    return last_versions(records + bucket.advance(times))


@pytest.mark.parametrize("seed", range(4))
def test_rules_that_are_announced_judge_from_their_time_on_through_restarts(seed: int, tmp_path: Path) -> None:
    simulated = day(seed=1, lines=20_000)
    sent = [sourced(name, kind, frame) for name, (kind, frame) in simulated.frames.items()]
    given = Given(simulated.district, simulated.inventory, simulated.judge)
    times = sorted(r["opened_at"] for r in in_one_process(sent, given))
    changed = tmp_path / "changed"
    shutil.copytree(POLICY_FOLDER, changed)
    for file in changed.rglob("*.yml"):
        text = file.read_text("utf-8")
        file.write_text(text.replace("gte: 8", "gte: 5").replace("title: ", "title: Changed - ", 1), "utf-8")
    gone = tmp_path / "gone"
    shutil.copytree(POLICY_FOLDER, gone)
    next(gone.rglob("*mass*.yml")).unlink()
    bundles = {
        b.version: b.data for b in map(pack_rules, (RuleSources(), RuleSources((changed,)), RuleSources((gone,))))
    }
    starts = [NEVER, times[len(times) // 3] - 1_000_000, times[2 * len(times) // 3] + 1]
    said = [Period(start, version) for start, version in zip(starts, bundles, strict=True)]

    def make(context: Context) -> InForce:
        return Announced(context.periods, bundles.__getitem__, tmp_path / f"home{seed}", RuleSources())

    in_force = Announced(lambda: tuple(said), bundles.__getitem__, tmp_path / "home", RuleSources())
    expected = in_one_process_by_version(sent, in_force, given)
    assert {r["rule_title"].startswith("Changed") for r in expected} == {True, False}
    found = on_a_bus(sent, given, seed, 0.02 if seed else 0.0, [37, 200, 1000], make, said)
    assert found == expected


@pytest.mark.parametrize("chaos", [0.0, 0.05])
def test_the_stages_give_what_one_process_gives_for_every_example(chaos: float) -> None:
    for number, example in enumerate(examples()):
        sent = [sourced(f"src-{kind}", kind, frame) for kind, frame in example.frames.items()]
        given = Given(example.district, example.inventory, Judge(example.permits))
        assert on_a_bus(sent, given, number, chaos, [1, 3, 50]) == in_one_process(sent, given), example.name


def test_a_batch_that_makes_many_messages_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.delivery.detect.MAX_MESSAGE_ROWS", 2)
    buses: list[Bus] = []
    last_records = _written

    def written(bus: Bus) -> Records:
        buses.append(bus)
        return last_records(bus)

    monkeypatch.setattr("tests.agents.test_stages_on_a_bus._written", written)
    simulated = day(seed=1, lines=20_000)
    sent = [sourced(name, kind, frame) for name, (kind, frame) in simulated.frames.items()]
    given = Given(simulated.district, simulated.inventory, simulated.judge)
    assert on_a_bus(sent, given, 3, 0.0, [1000]) == in_one_process(sent, given)
    logs = [log for (topic, _), log in buses[0].logs.items() if topic == DETECTIONS]
    assert [row for log in logs for row in _older_than_told(log)] == []


def _older_than_told(log: Sequence[Message]) -> list[str]:
    """Rows, not stamped late, behind a message that told their source to be past them."""
    told: dict[tuple[str, int, str, str], int] = {}
    found = []
    for message in log:
        link = Link.from_kafka(message.headers, message.value, where=message.where)
        place = (link.topic, link.partition, link.lane)
        if link.count:
            rows = decode("detection", message.value).filter(~pl.col("late"))
            for source, t, event in zip(
                rows["log_source"], rows["timestamp"].dt.timestamp("us"), rows["event_id"], strict=True
            ):
                if t < told.get((*place, source), NEVER):
                    found.append(event)
        told |= {(*place, t.source): t.progress for t in link.told}
    return found


SIMULATED = {"guessed-password", "mass-mail", "new-device", "shared-device", "two-sites"}  # what such a day has of each


@pytest.mark.parametrize("seed", range(6))
def test_a_simulated_day_gives_the_same_violations_through_restarts(seed: int) -> None:
    simulated = day(seed=1, lines=20_000)
    sent = [sourced(name, kind, frame) for name, (kind, frame) in simulated.frames.items()]
    random.Random(seed).shuffle(sent)
    given = Given(simulated.district, simulated.inventory, simulated.judge)
    expected = in_one_process(sent, given)
    assert {r["rule_id"] for r in expected} == SIMULATED
    assert on_a_bus(sent, given, seed, 0.02 if seed else 0.0, [37, 200, 1000]) == expected
