"""Puts an agent together from its settings: rules, context, connections."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agents.alerts.webhook import Alerts
from agents.alerts.wording import Wording
from agents.context.district import District, Site
from agents.context.inventory import Inventory
from agents.context.permits import Permits
from agents.delivery.correlate import CorrelateStage
from agents.delivery.detect import DetectStage
from agents.delivery.detectors import Detectors
from agents.delivery.feed import Context, Feed
from agents.delivery.identify import IdentifyStage
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
from schemas.kinds import IDENTITY, SOURCES, EventKind

StageFactory = Callable[[str, int], Stage]
_KIND_OF = {kind.topic: kind for kind in EventKind}


def district_of(settings: DistrictSettings) -> District:
    """The district that events are judged against.

    Raises:
        Errors: every value that is wrong.
    """
    sites = [Site(s.name, s.networks, s.access_points, s.latitude, s.longitude) for s in settings.sites]
    return District.of(settings.name, settings.timezone, settings.domains, sites, settings.calendar)


def inventory_of(settings: DistrictSettings) -> Inventory:
    """The inventory, or none. Raises as `Inventory.read`."""
    return Inventory.none() if settings.inventory is None else Inventory.read(settings.inventory)


def judge_of(settings: DistrictSettings, district: District) -> Judge:
    """Permits and the policy's name. Raises as `Permits.read`."""
    permits = Permits((), district) if settings.permits is None else Permits.read(settings.permits, district)
    return Judge(permits, settings.policy)


def stage_factory(agent: str, settings: AgentSettings, home: Path) -> StageFactory:
    """What makes the stages of one agent in this process; starts the context feed where the agent needs one.

    Args:
        agent: One of `AGENTS`.
        settings: What the process was told.
        home: Folder of the worker's own, for rules that are announced.

    Raises:
        Errors: rules or context files are wrong.
    """
    stop = threading.Event()
    live = None
    if agent in ("persist", "notify") and settings.keys is not None:
        live = LiveNames(settings.keys, district_of(settings.district))
    if agent == "identify":
        return lambda topic, partition: IdentifyStage(topic, partition, _KIND_OF[topic])
    if agent == "persist":
        return PersistStages(settings.clickhouse, stop, live)
    if agent == "notify":
        n = settings.notify
        wording = Wording(live, named=n.names)
        return lambda *_: NotifyStage(Alerts(n.webhook, n.timeout_s, n.tries, stop, wording))
    district, inventory = district_of(settings.district), inventory_of(settings.district)
    context = Context(settings.event_partitions)
    local = RuleSources(settings.rules, Beside(settings.collections, settings.pipelines), settings.shadow)
    rules = Announced(context.periods, partial(read_bundle, settings.kafka), home / "rules", local)

    def load(period: Period) -> None:
        rules.ruleset(period.version)

    topics = (SOURCES, IDENTITY) if agent == "detect" else (SOURCES,)
    Feed(settings.kafka, context, topics=topics, prepare=load).start()
    context.wait_until_caught_up()
    load(rules.periods()[-1])
    if agent == "detect":
        detectors = Detectors(rules, lambda ruleset: Detector(ruleset, district, inventory))
        return lambda topic, partition: DetectStage(
            topic, partition, _KIND_OF[topic], detectors, context, partitions=settings.detection_partitions
        )
    judge = judge_of(settings.district, district)
    return lambda _, partition: CorrelateStage(
        rules,
        judge,
        context,
        inventory=inventory.present,
        calendar=district.calendar,
        partition=(partition, settings.detection_partitions),
    )
