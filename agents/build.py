"""Puts an agent together from its settings: rules, context, connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from agents.alerts.routing import Route, Router
from agents.alerts.webhook import Alerts
from agents.alerts.wording import Wording
from agents.context.categories import OWN, Categories
from agents.context.district import District, Site
from agents.context.inventory import Inventory
from agents.context.ldif import is_ldif, read_ldif
from agents.context.oneroster import is_oneroster, read_oneroster
from agents.context.permitlog import LivePermits, Record
from agents.context.permits import Permits
from agents.context.roster import Roster
from agents.delivery.correlate import CorrelateStage
from agents.delivery.detect import DetectStage
from agents.delivery.detectors import Detectors
from agents.delivery.feed import Context, Feed
from agents.delivery.identify import IdentifyStage
from agents.delivery.letters import Flood
from agents.delivery.notify import NotifyStage
from agents.delivery.persist import PersistStages
from agents.delivery.rulebook import Announced, Period, read_bundle
from agents.delivery.stage import Stage
from agents.engine.detect import Detector
from agents.engine.episodes import Judge
from agents.privacy.live import LiveNames
from agents.rules.bundle import RuleSources
from agents.rules.reading import Beside
from agents.settings import AgentSettings, DistrictSettings
from schemas.kinds import IDENTITY, RULES, SOURCES, EventKind
from schemas.metrics import Metrics

StageFactory = Callable[[str, int], Stage]
_KIND_OF = {kind.topic: kind for kind in EventKind}


def district_of(settings: DistrictSettings) -> District:
    """The district that events are judged against.

    Raises:
        Errors: every value that is wrong.
    """
    sites = [Site(s.name, s.networks, s.access_points, s.latitude, s.longitude, s.also) for s in settings.sites]
    made = District.of(settings.name, settings.timezone, settings.domains, sites, settings.calendar)
    categories = Categories.read(settings.categories or (OWN,), settings.category_names)
    return made.knowing(roster_of(settings), settings.shared_networks, categories)


def roster_of(settings: DistrictSettings) -> Roster:
    """The roster, or none. Raises as `Roster.read`, `read_oneroster` and `read_ldif`."""
    if settings.roster is None:
        return Roster()
    if is_ldif(settings.roster):
        return read_ldif(settings.roster)
    return read_oneroster(settings.roster) if is_oneroster(settings.roster) else Roster.read(settings.roster)


def inventory_of(settings: DistrictSettings) -> Inventory:
    """The inventory, or none. Raises as `Inventory.read`."""
    return Inventory.none() if settings.inventory is None else Inventory.read(settings.inventory)


def judge_of(settings: DistrictSettings, district: District, records: Callable[[], Sequence[Record]] = tuple) -> Judge:
    """Permits and the policy's name.

    Args:
        settings: What the configuration says.
        district: The district.
        records: Gives the records of permits that were entered so far: another sequence when there are more.

    Raises:
        Errors: as `Permits.read`.
    """
    return Judge(LivePermits(written_permits(settings, district), records), settings.policy)


def written_permits(settings: DistrictSettings, district: District) -> Permits:
    """Permits of the configuration's file. Raises as `Permits.read`."""
    return Permits((), district) if settings.permits is None else Permits.read(settings.permits, district)


def router_of(settings: AgentSettings) -> Router:
    """Who is told of what. Raises as `district_of` and `inventory_of`."""
    notify = settings.notify
    routes = tuple(Route(r.to, r.clauses, r.least, r.roles, r.sites) for r in notify.routes)
    teams = {"personnel": notify.teams.personnel, "security": notify.teams.security}
    return Router(district_of(settings.district), inventory_of(settings.district), routes, teams)


def _plain_factory(agent: str, settings: AgentSettings, metrics: Metrics) -> StageFactory:
    """Of the agents that need no rules."""
    stop = threading.Event()
    live = None
    if agent != "identify" and settings.keys is not None:
        live = LiveNames(settings.keys, district_of(settings.district))
    if agent == "identify":
        return lambda topic, partition: IdentifyStage(topic, partition, _KIND_OF[topic])
    if agent == "persist":
        return PersistStages(settings.clickhouse, stop, live, metrics, settings.refused_in_a_row)
    n, router = settings.notify, router_of(settings)
    wording = Wording(live, named=n.names, people=router.district.roster)
    return lambda *_: NotifyStage(Alerts(n.webhook, n.timeout_s, n.tries, stop, wording, metrics), router)


def stage_factory(agent: str, settings: AgentSettings, home: Path, metrics: Metrics) -> StageFactory:
    """What makes the stages of one agent in this process; starts the context feed where the agent needs one.

    Args:
        agent: One of `AGENTS`.
        settings: What the process was told.
        home: Folder of the worker's own, for rules that are announced.
        metrics: Counted into.

    Raises:
        Errors: rules or context files are wrong.
    """
    if agent in ("identify", "persist", "notify"):
        return _plain_factory(agent, settings, metrics)
    district, inventory = district_of(settings.district), inventory_of(settings.district)
    context = Context(settings.event_partitions)
    local = RuleSources(settings.rules, Beside(settings.collections, settings.pipelines), settings.shadow)
    rules = Announced(context.periods, partial(read_bundle, settings.kafka), home / "rules", local)

    def load(period: Period) -> None:
        rules.ruleset(period.version)

    topics = (SOURCES, IDENTITY, RULES) if agent == "detect" else (SOURCES,)
    Feed(settings.kafka, context, topics=topics, prepare=load).start()
    context.wait_until_caught_up()
    load(rules.periods()[-1])
    if agent == "detect":
        detectors = Detectors(rules, lambda ruleset: Detector(ruleset, district, inventory))
        return lambda topic, partition: DetectStage(
            topic,
            partition,
            _KIND_OF[topic],
            detectors,
            context,
            partitions=settings.detection_partitions,
            counted=metrics,
        )
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
