"""What the agents need that judge: the rules in force, and what is told to everybody."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from agents.delivery.feed import Context, Feed
from agents.delivery.rulebook import Announced, Period, read_bundle
from agents.rules.bundle import RuleSources
from agents.rules.reading import Beside
from agents.settings import AgentSettings


def ruled(settings: AgentSettings, home: Path, topics: tuple[str, ...]) -> tuple[Announced, Context]:
    """Rules and context, as far as they are known by now; the feed goes on in a thread.

    Args:
        settings: What the process was told.
        home: Folder for rules that are announced.
        topics: What the feed reads.

    Raises:
        Errors: rules are wrong.
    """
    context = Context(settings.event_partitions)
    local = RuleSources(settings.rules, Beside(settings.collections, settings.pipelines), settings.shadow)
    rules = Announced(context.periods, partial(read_bundle, settings.kafka), home / "rules", local)

    def load(period: Period) -> None:
        rules.ruleset(period.version)

    Feed(settings.kafka, context, topics=topics, prepare=load).start()
    context.wait_until_caught_up()
    load(rules.periods()[-1])
    return rules, context
