"""`aupstream coverage`: how well each clause could be watched on each day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from agents.build import district_of
from agents.rules.loader import POLICY_FOLDER, load_rules
from agents.rules.model import RuleSet
from agents.rules.needs import stored_needs
from infra.cli.configuration import Chosen, choose
from infra.cli.output import json_line, table, warn
from infra.cli.store import Store, dsn_of
from infra.coverage.figures import AT_LEAST, ClauseDay, Filled, Hour, clause_days, days_between, source_days
from schemas.errors import ConfigError
from schemas.kinds import EventKind
from schemas.registry import column_names
from streams.normalisers.registry import types

MAX_DAYS = 400
BEFORE = 28  # days before those asked for, which say what is usual
_HOURS = "SELECT log_source, kind, hour, events, late FROM source_hours WHERE hour >= %(begin)s AND hour < %(end)s"
_RANGE = "SELECT min(hour) AS oldest, max(hour) AS newest FROM source_hours"
_READ = """
SELECT source, log_type AS type, dead_letters, lines FROM ledger_sources WHERE lines > 0
"""
_LETTERS = """
SELECT log_source, toDate(assumeNotNull(timestamp), %(zone)s) AS day, count() AS letters FROM dead_letters FINAL
WHERE stage = 'normalise' AND timestamp IS NOT NULL GROUP BY log_source, day
"""


def run(first: str | None, last: str | None, config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Print a line a clause and day.

    Args:
        first: First local day, ISO 8601; None: that of the oldest event, or 28 days before the last.
        last: Last local day; None: that of the newest event.
        config: Configuration.
        data: Data folder.
        as_json: One JSON object a line.

    Raises:
        ConfigError: a day cannot be read, or the range is too long.
        ServerError: ClickHouse does not answer.
    """
    chosen = choose(config, data)
    asked = tuple(None if text is None else _day(text) for text in (first, last))
    store = Store(dsn_of(chosen))
    try:
        found = covered(store, chosen, asked[0], asked[1])
    finally:
        store.close()
    if as_json:
        for one in found:
            plain = {"clause": one.clause, "day": one.day.isoformat(), "figure": round(one.figure, 4)}
            json_line({**plain, "needs": list(one.needs), "lacks": list(one.lacks)})
        return
    rows = [(c.clause, c.day.isoformat(), f"{c.figure:.2f}", ", ".join(c.needs), "; ".join(c.lacks)) for c in found]
    table(("clause", "day", "seen", "needs", "lacks"), rows, empty="no event is stored yet: nothing could be watched")


def covered(store: Store, chosen: Chosen, first: date | None = None, last: date | None = None) -> list[ClauseDay]:
    """Every clause on every day of a range."""
    district = district_of(chosen.config.district)
    zone = district.timezone
    (between,) = store.rows(_RANGE)
    oldest, newest = between["oldest"], between["newest"]
    if newest is None or newest.year < 1971:
        return []
    last = last or newest.replace(tzinfo=UTC).astimezone(zone).date()
    first = first or max(oldest.replace(tzinfo=UTC).astimezone(zone).date(), date.fromordinal(last.toordinal() - 27))
    if not 0 <= (last - first).days < MAX_DAYS:
        raise ConfigError(f"from {first} to {last} are no 1 to {MAX_DAYS} days", where="--from", hint="ask for fewer")
    days = days_between(first, last)
    before = days_between(date.fromordinal(first.toordinal() - BEFORE), date.fromordinal(first.toordinal() - 1))
    begin = datetime(before[0].year, before[0].month, before[0].day, tzinfo=zone).astimezone(UTC)
    after = date.fromordinal(last.toordinal() + 1)
    end = datetime(after.year, after.month, after.day, tzinfo=zone).astimezone(UTC)
    hours = [
        Hour(r["log_source"], EventKind(r["kind"]), r["hour"].replace(tzinfo=UTC), r["events"], r["late"])
        for r in store.rows(_HOURS, {"begin": begin, "end": end})
    ]
    read = store.rows(_READ)
    letters = {(r["log_source"], r["day"]): int(r["letters"]) for r in store.rows(_LETTERS, {"zone": zone.key})}
    unread = {r["source"]: _undated(r, letters) for r in read}
    sources = _kinds(chosen, {r["source"]: r["type"] for r in read})
    rules = load_rules(chosen.config.rules.paths or (POLICY_FOLDER,), chosen.config.rules.beside)
    found = source_days(hours, sources, days, district.calendar, unread, before, letters)
    return clause_days(rules, found, days, _filled(store, rules, zone.key, (days[0], last)))


def _undated(read: Mapping[str, Any], letters: Mapping[tuple[str, date], int]) -> float:
    """Share of a source's lines that became dead letters of which no day is known: they may be of any."""
    dated = sum(count for (source, _), count in letters.items() if source == read["source"])
    return float(max(0, read["dead_letters"] - dated) / read["lines"])


def _filled(store: Store, ruleset: RuleSet, zone: str, between: tuple[date, date]) -> Filled:
    """Share of the stored events of a source and a local day that have a column that rules cannot do without."""
    made: dict[tuple[str, date], dict[str, float]] = {}
    for kind in EventKind:
        asked = {c for rule, base in ruleset.feeds(kind) for c in stored_needs(rule, base)} | {"user_name"}
        names = sorted(asked & set(column_names(kind.value)))
        shares = ", ".join(f"avg(ifNull({_there(n)}, false)) AS has_{n}" for n in names)
        query = f"SELECT log_source, toDate(timestamp, %(zone)s) AS day, {shares} "
        query += f"FROM events_{kind.value} FINAL WHERE day >= %(first)s AND day <= %(last)s GROUP BY log_source, day"
        for row in store.rows(query, {"zone": zone, "first": between[0], "last": between[1]}):
            made[row["log_source"], row["day"]] = {n: float(row[f"has_{n}"]) for n in names}
    return made


def _there(column: str) -> str:
    least = AT_LEAST.get(column)
    return f"toString({column}) NOT IN ('', '[]')" if least is None else f"{column} >= {least}"


def summary(store: Store, chosen: Chosen) -> str:
    """One sentence beside a report of no violations: how much of it means that nothing was there."""
    found = covered(store, chosen)
    if not found:
        return "no event is stored yet: that nothing was found says nothing"
    by_clause: dict[int, list[float]] = {}
    for one in found:
        by_clause.setdefault(one.clause, []).append(one.figure)
    means = {clause: sum(figures) / len(figures) for clause, figures in by_clause.items() if clause}
    told = ", ".join(f"{clause}: {figure:.2f}" for clause, figure in sorted(means.items()))
    return f"seen of each clause, from 0 to 1: {told}; see `aupstream coverage`"


def tell_summary(store: Store, chosen: Chosen) -> None:
    """Print it on standard error."""
    warn(summary(store, chosen))


def _kinds(chosen: Chosen, read: Mapping[str, str]) -> dict[str, EventKind]:
    """Kinds of the sources by name, of those that are configured and of those that were ever read."""
    kinds = {name: entry.kind for name, entry in types().items()}
    kinds |= {name: spec.kind for name, spec in chosen.config.formats.items()}
    named = {**read, **{source.name or source.type: source.type for source in chosen.config.sources}}
    return {name: kinds[of] for name, of in named.items() if of in kinds}


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no day", where="--from", hint="write it like 2026-03-02") from error
