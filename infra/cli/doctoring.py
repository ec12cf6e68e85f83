"""`aupstream doctor`: everything that may be wrong, looked at once, with what to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from agents.build import district_of, inventory_of, written_permits
from agents.context.district import District
from agents.context.permitlog import permits_of
from agents.rules.loader import POLICY_FOLDER, load_rules
from infra.cli.configuration import Chosen, choose
from infra.cli.failures import FINDINGS
from infra.cli.output import json_line, line, table, talk
from infra.cli.store import Store, dsn_of, embedded
from infra.config import file_of
from infra.permits.keeping import recorded
from infra.run import words
from infra.run.checks import (
    Check,
    State,
    clickhouse,
    disk,
    mail,
    recipients,
    secrets,
    sources,
    worst,
)
from infra.run.checks_here import listeners, positions, workers
from infra.run.checks_kafka import Found, kafka, retention
from schemas.errors import AupstreamError


def run(config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Print every check; end with 1 where one is bad."""
    checks = list(_checks(choose(config, data)))
    if as_json:
        for check in checks:
            json_line(asdict(check))
    else:
        order: tuple[State, ...] = ("bad", "warning", "unknown", "ok")
        table(("state", "what", "found"), [(c.state, c.name, c.detail) for s in order for c in checks if c.state == s])
        for check in checks:
            if check.todo and check.state in ("bad", "warning"):
                line(f"{check.name}: {check.todo}")
    bad = sum(check.state == "bad" for check in checks)
    doubtful = sum(check.state == "warning" for check in checks)
    talk(f"{len(checks)} checks: {bad} bad, {doubtful} doubtful")
    if worst(checks) == "bad":
        raise typer.Exit(FINDINGS)


def _checks(chosen: Chosen) -> Iterator[Check]:
    config = chosen.config
    yield Check("configuration", "ok", str(chosen.file or "defaults and the environment"))
    yield from disk(config)
    yield from secrets(config, chosen.file)
    yield from sources(config)
    yield from positions(config)
    yield from listeners(config)
    yield from mail(config)
    try:
        district = district_of(config.district)
        yield from recipients(config, district)
        yield from _words(chosen, district)
    except AupstreamError as error:
        yield Check("context", "bad", str(error).splitlines()[0], "correct the file that it names")
    own, found = embedded(chosen), Found()
    address = config.kafka.address or ("" if own is None else own.kafka)
    if address:
        yield from kafka(config, address, found)
    else:
        yield Check("Kafka", "unknown", "the embedded one does not run", "start `aupstream up` or `aupstream run`")
    try:
        rules = load_rules(config.rules.paths or (POLICY_FOLDER,), config.rules.beside)
    except AupstreamError as error:
        yield Check("rules", "bad", str(error).splitlines()[0], "see `aupstream rules lint`")
    else:
        yield Check("rules", "ok", f"{len(rules.rules)} rules")
        yield from retention(config, rules, found)
    if config.clickhouse.dsn or own is not None:
        yield from _clickhouse(chosen)
    else:
        yield Check("ClickHouse", "unknown", "the embedded one does not run", "start `aupstream up` or `aupstream run`")
    yield from workers(config)


def _words(chosen: Chosen, district: District) -> Iterator[Check]:
    """Names and words that nobody knows."""
    config = chosen.config
    devices, log = inventory_of(config.district), config.permit_log
    entered = permits_of(recorded(log)(), district.timezone, str(log))
    book = written_permits(config.district, district).and_more(entered)
    yield from words.permits(book, devices, time.time_ns() // 1_000)
    documents = []
    with suppress(AupstreamError):  # told where rules are looked at
        documents = words.documents_of(config.rules.paths or (POLICY_FOLDER,))
    if config.district.inventory is not None:
        yield from words.inventory(config.district.inventory, district, words.kinds_asked_for(documents))
    duty, routes = config.district.calendar.duty_by_role, config.notify.routes
    yield from words.roles(district, routes, duty, documents, file_of(chosen.file))


def _clickhouse(chosen: Chosen) -> Iterator[Check]:
    try:
        store = Store(dsn_of(chosen))
    except AupstreamError as error:
        yield Check("ClickHouse", "bad", error.what, error.hint)
        return

    def execute(query: str) -> list[tuple[Any, ...]]:
        return list(store.stream(query)[1])

    try:
        yield from clickhouse(chosen.config, execute)
    finally:
        store.close()
