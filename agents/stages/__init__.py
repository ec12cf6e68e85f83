"""How each agent's stages are made: a module an agent, so that a worker imports no more than its own agent needs.

Importing is most of a worker's start, and a quarter of its memory.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from agents.delivery.stage import Stage
from agents.settings import AGENTS, AgentSettings
from schemas.metrics import Metrics

StageFactory = Callable[[str, int], Stage]
Make = Callable[[AgentSettings, Path, Metrics], StageFactory]


def stage_factory(agent: str, settings: AgentSettings, home: Path, metrics: Metrics) -> StageFactory:
    """What makes the stages of one agent in this process; starts the context feed where the agent needs one.

    Args:
        agent: One of `AGENTS`.
        settings: What the process was told.
        home: Folder of the worker's own, for rules that are announced.
        metrics: Counted into.

    Raises:
        Errors: rules or context files are wrong.
        ValueError: there is no such agent.
    """
    if agent not in AGENTS:
        raise ValueError(agent)
    make = cast("Make", import_module(f"agents.stages.{agent}").make)
    return make(settings, home, metrics)
