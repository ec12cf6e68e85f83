"""What `aupstream rules apply` and `rules history` do."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from kafka.errors import KafkaError

from agents.rules.bundle import RuleSources
from infra.cli.configuration import choose
from infra.cli.output import json_line, line, table, talk
from infra.cli.serving import kafka_of
from infra.run.announcing import announce, periods, shown
from schemas.errors import ConfigError, ServerError


def apply(at: str | None, config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Announce the configuration's rules.

    Args:
        at: Event time from which they are in force, ISO 8601 with an offset; None: soon.
        config: Configuration.
        data: Data folder.
        as_json: Print one JSON object.

    Raises:
        Errors: everything that is wrong with the rules; nothing is changed then.
        ConfigError: the time cannot be read, or is not ahead of all events.
        ServerError: Kafka does not run.
    """
    start = None if at is None else _micros(at)
    chosen = choose(config, data)
    rules = chosen.config.rules
    talk("reading the rules")
    done = announce(kafka_of(chosen), RuleSources(rules.paths, rules.beside, rules.shadow), start=start)
    if as_json:
        plain = {"version": done.period.version, "from": shown(done.period.start), "changed": done.changed}
        json_line({**plain, "rules": done.rules})
    elif done.changed:
        line(f"{done.rules} rules, version {done.period.version}, are in force from {shown(done.period.start)} on")
    else:
        line(f"{done.rules} rules, version {done.period.version}: they were announced before; nothing to do")


def history(config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Print what was announced. Raises `ServerError` where Kafka does not run."""
    try:
        found = periods(kafka_of(choose(config, data)))
    except KafkaError as error:
        raise ServerError(f"Kafka does not answer: {error}", where="rules history", hint="is it running?") from error
    rows = [(shown(period.start), period.version) for period in found]
    if as_json:
        for start, version in rows:
            json_line({"from": start, "version": version})
        return
    table(("in force from", "version"), rows, empty="no rules were announced yet")


def _micros(text: str) -> int:
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no time: {error}", where="--at", hint="like 2026-03-02T07:00:00-07:00"
        ) from None
    if when.tzinfo is None:
        raise ConfigError(f"{text!r} has no offset", where="--at", hint="like 2026-03-02T07:00:00-07:00")
    return int(when.timestamp()) * 1_000_000 + when.microsecond
