"""Stages of persist."""

from __future__ import annotations

import threading
from pathlib import Path

from agents.delivery.persist import PersistStages
from agents.settings import AgentSettings
from agents.stages import StageFactory
from agents.stages.names import live_names
from schemas.metrics import Metrics


def make(settings: AgentSettings, home: Path, metrics: Metrics) -> StageFactory:
    """See `agents.stages.stage_factory`."""
    del home
    names = live_names(settings)
    return PersistStages(settings.clickhouse, threading.Event(), names, metrics, settings.refused_in_a_row)
