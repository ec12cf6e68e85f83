"""Stages of identify."""

from __future__ import annotations

from pathlib import Path

from agents.delivery.identify import IdentifyStage
from agents.delivery.letters import Flood
from agents.settings import AgentSettings
from agents.stages import StageFactory
from schemas.kinds import EventKind
from schemas.metrics import Metrics

_KIND_OF = {kind.topic: kind for kind in EventKind}


def make(settings: AgentSettings, home: Path, metrics: Metrics) -> StageFactory:
    """See `agents.stages.stage_factory`."""
    del home, metrics
    return lambda topic, partition: IdentifyStage(topic, partition, _KIND_OF[topic], Flood(settings.refused_in_a_row))
