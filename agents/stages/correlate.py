"""Stages of correlate."""

from __future__ import annotations

from pathlib import Path

from agents.build import district_of, inventory_of, judge_of
from agents.delivery.correlate import CorrelateStage
from agents.delivery.letters import Flood
from agents.settings import AgentSettings
from agents.stages import StageFactory
from agents.stages.ruled import ruled
from schemas.kinds import RULES, SOURCES
from schemas.metrics import Metrics


def make(settings: AgentSettings, home: Path, metrics: Metrics) -> StageFactory:
    """See `agents.stages.stage_factory`."""
    district, inventory = district_of(settings.district), inventory_of(settings.district)
    rules, context = ruled(settings, home, (SOURCES, RULES))
    judge = judge_of(settings.district, district, context.permits)
    return lambda _, partition: CorrelateStage(
        rules,
        judge,
        context,
        inventory=inventory.present,
        calendar=district.calendar,
        partition=(partition, settings.detection_partitions),
        counted=metrics,
        flood=Flood(settings.refused_in_a_row),
    )
