"""Stages of notify."""

from __future__ import annotations

import threading
from pathlib import Path

from agents.alerts.routing import Route, Router
from agents.alerts.webhook import Alerts
from agents.alerts.wording import Wording
from agents.build import district_of, inventory_of
from agents.delivery.notify import NotifyStage
from agents.settings import AgentSettings
from agents.stages import StageFactory
from agents.stages.names import live_names
from schemas.metrics import Metrics


def make(settings: AgentSettings, home: Path, metrics: Metrics) -> StageFactory:
    """See `agents.stages.stage_factory`."""
    del home
    n, router, stop = settings.notify, router_of(settings), threading.Event()
    wording = Wording(live_names(settings), named=n.names, people=router.district.roster)
    return lambda *_: NotifyStage(Alerts(n.webhook, n.timeout_s, n.tries, stop, wording, metrics), router)


def router_of(settings: AgentSettings) -> Router:
    """Who is told of what. Raises as `district_of` and `inventory_of`."""
    notify = settings.notify
    routes = tuple(Route(r.to, r.clauses, r.least, r.roles, r.sites) for r in notify.routes)
    teams = {"personnel": notify.teams.personnel, "security": notify.teams.security}
    return Router(district_of(settings.district), inventory_of(settings.district), routes, teams)
