"""Stages of detect."""

from __future__ import annotations

from pathlib import Path

from agents.build import district_of, inventory_of
from agents.delivery.detect import DetectStage
from agents.delivery.detectors import Detectors
from agents.delivery.letters import Flood
from agents.engine.detect import Detector
from agents.settings import AgentSettings
from agents.stages import StageFactory
from agents.stages.ruled import ruled
from schemas.kinds import IDENTITY, RULES, SOURCES, EventKind
from schemas.metrics import Metrics

_KIND_OF = {kind.topic: kind for kind in EventKind}


def make(settings: AgentSettings, home: Path, metrics: Metrics) -> StageFactory:
    """See `agents.stages.stage_factory`."""
    district, inventory = district_of(settings.district), inventory_of(settings.district)
    rules, context = ruled(settings, home, (SOURCES, IDENTITY, RULES))
    detectors = Detectors(rules, lambda ruleset: Detector(ruleset, district, inventory))
    return lambda topic, partition: DetectStage(
        topic,
        partition,
        _KIND_OF[topic],
        detectors,
        context,
        partitions=settings.detection_partitions,
        counted=metrics,
        flood=Flood(settings.refused_in_a_row),
    )
