"""Stages of notify."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from agents.alerts.mail import PORTS, Mail, MailServer
from agents.alerts.routing import Route, Router
from agents.alerts.sending import Alerts, Channel
from agents.alerts.webhook import Webhook
from agents.alerts.wording import Wording
from agents.build import district_of, inventory_of
from agents.delivery.notify import NotifyStage
from agents.settings import AgentSettings, MailSettings, NotifySettings
from agents.stages import StageFactory
from agents.stages.names import live_names
from schemas.metrics import Metrics


def make(settings: AgentSettings, home: Path, metrics: Metrics) -> StageFactory:
    """See `agents.stages.stage_factory`."""
    del home
    n, router, stop = settings.notify, router_of(settings), threading.Event()
    wording = Wording(live_names(settings), named=n.names, people=router.district.roster)
    zone = router.district.timezone
    return lambda *_: NotifyStage(Alerts(channels_of(n, zone), n.tries, stop, wording, metrics), router)


def channels_of(settings: NotifySettings, zone: ZoneInfo) -> list[Channel]:
    """By which people are told."""
    found: list[Channel] = []
    if settings.webhook is not None:
        found.append(Webhook(settings.webhook, settings.timeout_s))
    if settings.mail is not None:
        server = server_of(settings.mail, settings.timeout_s)
        found.append(Mail(server, settings.mail.sender, zone, lambda: datetime.now(UTC)))
    return found


def server_of(mail: MailSettings, timeout_s: float) -> MailServer:
    """The mail server that alerts are handed to."""
    host, _, port = (
        mail.server.rpartition(":") if mail.server[-1:].isdigit() and ":" in mail.server else (mail.server, "", "")
    )
    return MailServer(
        host.strip("[]"),
        int(port) if port else PORTS[mail.tls],
        mail.tls,
        mail.ca,
        mail.user,
        mail.password_file,
        timeout_s,
    )


def router_of(settings: AgentSettings) -> Router:
    """Who is told of what. Raises as `district_of` and `inventory_of`."""
    notify = settings.notify
    routes = tuple(Route(r.to, r.clauses, r.least, r.roles, r.sites) for r in notify.routes)
    teams = {"personnel": notify.teams.personnel, "security": notify.teams.security}
    return Router(district_of(settings.district), inventory_of(settings.district), routes, teams)
