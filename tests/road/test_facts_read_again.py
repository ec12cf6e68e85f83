"""A worker's feed forgets facts that nobody asks for, and reads them from Kafka again where somebody does."""

from __future__ import annotations

import time
from pathlib import Path

import polars as pl
import pytest

from agents.delivery.feed import Context, Feed
from tests.road.scene import simulated, wait_until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


def test_facts_that_were_forgotten_are_read_again_from_kafka(tmp_path: Path) -> None:
    scene = simulated(tmp_path, seed=5, lines=2_000)
    with scene.running(agents=("identify",)) as system:
        context = Context(scene.config.kafka.event_partitions)
        feed = Feed(system.kafka, context)
        feed.start()
        context.wait_until_caught_up()
        wait_until(system, lambda: context.facts.count > 0 and context.facts_progress() > 2**60)
        every = context.facts.count
        context.ask(("aup.events.proxy", 0), 2**60)
        wait_until(system, lambda: context.facts.count < every)
        began, oldest = time.monotonic(), context.facts.dropped_from
        context.wait_for_facts_of(pl.Series([oldest - 1, 2**60]))  # neither needs what went
        assert context.facts.count < every
        context.wait_for_facts_of(pl.Series([oldest]))
        assert context.facts.count == every
        assert time.monotonic() - began < 60
        feed.stop()
        feed.join(10)
