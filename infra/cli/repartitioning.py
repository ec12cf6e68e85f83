"""What `aupstream repartition` does."""

from __future__ import annotations

from pathlib import Path

from infra.cli.configuration import choose
from infra.cli.output import json_line, line, talk
from infra.cli.serving import kafka_of
from infra.run.repartition import repartition
from infra.run.topics import wanted
from schemas.kinds import DETECTIONS


def run(config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Give the topic of detections the configuration's number of partitions.

    Raises:
        InputError: agents run.
        ServerError: Kafka does not answer or refuses.
    """
    chosen = choose(config, data)
    kafka = chosen.config.kafka
    topics = wanted(kafka.event_partitions, kafka.detection_partitions, chosen.config.privacy.retention)
    done = repartition(kafka_of(chosen), topics, kafka.replication, talk)
    if as_json:
        json_line({"topic": DETECTIONS, "before": done.before, "now": done.now, "remade": list(done.remade)})
    elif not done.remade:
        line(f"{DETECTIONS} has {done.now} partitions already: nothing to do")
    else:
        line(f"{DETECTIONS} had {done.before} partitions and has {done.now}")
        talk("start the agents: they read the events that Kafka has from the beginning, which takes a while")
