"""The agents' stages give what one process gives, in any order of work, with restarts anywhere."""

from __future__ import annotations

import random
from functools import cache

import pytest

from agents.delivery.correlate import CorrelateStage
from agents.delivery.detect import DetectStage
from agents.delivery.feed import Context
from agents.delivery.identify import IdentifyStage
from agents.delivery.stage import Stage
from agents.engine.detect import Detector
from agents.engine.episodes import Judge, Records
from agents.engine.pipeline import last_versions, run
from agents.rules.examples import Example, read_example
from agents.rules.loader import load_rules
from agents.rules.model import RuleSet
from schemas.kinds import DETECTIONS, IDENTITY, VIOLATIONS, EventKind
from schemas.records import decode_record
from tests.agents.bus import Bus, FeedReader, Worker, run_dry
from tests.agents.collecting import SentSource, batches, register, sourced

P, Q = 3, 2


@cache
def rules() -> RuleSet:
    return load_rules()


@cache
def examples() -> list[Example]:
    """Every example of the policy's rules that has events."""
    read = [read_example(raw, rule.id) for rule in rules().rules for raw in rule.examples]
    return [e for e in read if any(f.height for f in e.frames.values())]


def sources(example: Example) -> list[SentSource]:
    made = [sourced(f"src-{kind}", kind, frame) for kind, frame in example.frames.items()]
    if not any(s.kind is EventKind.DHCP for s in made):
        return made
    return made


def in_one_process(example: Example) -> Records:
    frames = [(s.kind, s.frame) for s in sources(example)]
    return run(rules(), example.district, example.inventory, Judge(example.permits), frames)


def on_a_bus(example: Example, seed: int, chaos: float) -> Records:
    bus, rng = Bus(), random.Random(seed)
    sent = sources(example)
    bus.send(register(sent))
    streams = [batches(s, rng.choice([1, 3, 50]), P, len(sent) - 1) for s in sent]
    while any(streams):
        bus.send([rng.choice([s for s in streams if s]).pop(0)])
    context, detector = Context(P), Detector(rules(), example.district, example.inventory)

    def detect(topic: str, p: int) -> Stage:
        kind = EventKind(topic.rpartition(".")[2])
        return DetectStage(topic, p, kind, rules(), detector, context, partitions=Q)

    def correlate(topic: str, p: int) -> Stage:
        return CorrelateStage(rules(), Judge(example.permits), context, inventory=example.inventory.present)

    def identify(topic: str, p: int) -> Stage:
        return IdentifyStage(topic, p, EventKind(topic.rpartition(".")[2]))

    workers = [Worker.start(bus, k.topic, p, detect) for k in EventKind for p in range(P)]
    workers += [Worker.start(bus, k.topic, p, identify) for k in (EventKind.DHCP, EventKind.LOGIN) for p in range(P)]
    workers += [Worker.start(bus, DETECTIONS, q, correlate) for q in range(Q)]
    run_dry(workers, [FeedReader(bus, context)], rng.choice, chaos)
    assert IDENTITY
    written = [decode_record(m.value)[1] for (topic, _), log in bus.logs.items() if topic == VIOLATIONS for m in log]
    versions: dict[tuple[str, int], object] = {}
    for record in written:
        same = versions.setdefault((record["id"], record["version"]), record)
        assert same == record, "the same id and version with other content"
    return last_versions(written)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("chaos", [0.0, 0.05])
def test_the_stages_give_what_one_process_gives(seed: int, chaos: float) -> None:
    for number, example in enumerate(examples()):
        found = on_a_bus(example, seed * 1000 + number, chaos)
        assert found == in_one_process(example), example.name
