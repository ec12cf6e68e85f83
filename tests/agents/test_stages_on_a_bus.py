"""The agents' stages give what one process gives, in any order of work, with restarts anywhere."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

import pytest

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.delivery.correlate import CorrelateStage
from agents.delivery.detect import DetectStage
from agents.delivery.detectors import Detectors
from agents.delivery.feed import Context
from agents.delivery.identify import IdentifyStage
from agents.delivery.rulebook import Always
from agents.delivery.stage import Stage
from agents.engine.detect import Detector
from agents.engine.episodes import Judge, Records
from agents.engine.pipeline import last_versions, run
from agents.rules.examples import Example, read_example
from agents.rules.loader import load_rules
from agents.rules.model import RuleSet
from schemas.kinds import DETECTIONS, VIOLATIONS, EventKind
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
    frames = [(s.kind, s.frame) for s in sent]
    return run(rules(), context.district, context.inventory, context.judge, frames)


def on_a_bus(sent: list[SentSource], given: Given, seed: int, chaos: float, rows: list[int]) -> Records:
    bus, rng = Bus(), random.Random(seed)
    bus.send(register(sent))
    streams = [batches(s, rng.choice(rows), P, len(sent) - 1) for s in sent]
    while any(streams):
        bus.send([rng.choice([s for s in streams if s]).pop(0)])
    context = Context(P)
    detectors = Detectors.always(rules(), Detector(rules(), given.district, given.inventory))

    def detect(topic: str, p: int) -> Stage:
        kind = EventKind(topic.rpartition(".")[2])
        return DetectStage(topic, p, kind, detectors, context, partitions=Q)

    def correlate(topic: str, p: int) -> Stage:
        del topic, p
        return CorrelateStage(Always(rules()), given.judge, context, inventory=given.inventory.present)

    def identify(topic: str, p: int) -> Stage:
        return IdentifyStage(topic, p, EventKind(topic.rpartition(".")[2]))

    workers = [Worker.start(bus, k.topic, p, detect) for k in EventKind for p in range(P)]
    workers += [Worker.start(bus, k.topic, p, identify) for k in (EventKind.DHCP, EventKind.LOGIN) for p in range(P)]
    workers += [Worker.start(bus, DETECTIONS, q, correlate) for q in range(Q)]
    run_dry(workers, [FeedReader(bus, context)], rng.choice, chaos)
    written = [decode_record(m.value)[1] for (topic, _), log in bus.logs.items() if topic == VIOLATIONS for m in log]
    versions: dict[tuple[str, int], object] = {}
    for record in written:
        same = versions.setdefault((record["id"], record["version"]), record)
        assert same == record, "the same id and version with other content"
    return last_versions(written)


@pytest.mark.parametrize("chaos", [0.0, 0.05])
def test_the_stages_give_what_one_process_gives_for_every_example(chaos: float) -> None:
    for number, example in enumerate(examples()):
        sent = [sourced(f"src-{kind}", kind, frame) for kind, frame in example.frames.items()]
        given = Given(example.district, example.inventory, Judge(example.permits))
        assert on_a_bus(sent, given, number, chaos, [1, 3, 50]) == in_one_process(sent, given), example.name


@pytest.mark.parametrize("seed", range(6))
def test_a_simulated_day_gives_the_same_violations_through_restarts(seed: int) -> None:
    simulated = day(seed=1, lines=20_000)
    sent = [sourced(name, kind, frame) for name, (kind, frame) in simulated.frames.items()]
    random.Random(seed).shuffle(sent)
    given = Given(simulated.district, simulated.inventory, simulated.judge)
    expected = in_one_process(sent, given)
    assert len({r["rule_id"] for r in expected}) == len(rules().rules)
    assert on_a_bus(sent, given, seed, 0.02 if seed else 0.0, [37, 200, 1000]) == expected
