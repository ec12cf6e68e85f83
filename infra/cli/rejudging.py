"""What `aupstream rejudge` does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agents.build import district_of
from agents.context.permitfile import moment
from agents.delivery.rulebook import Announced
from agents.engine.episodes import Records
from agents.rules.model import RuleSet
from infra.cli.configuration import Chosen, choose
from infra.cli.correcting import Said, check, compared, correct
from infra.cli.eventsources import EventTables
from infra.cli.output import iso, json_line, progress, table, talk
from infra.cli.serving import kafka_of
from infra.cli.store import Store, dsn_of
from infra.cli.unmasking import need_reason
from infra.cli.unsealing import Unsealer
from infra.permits.keeping import recorded
from infra.permits.telling import tell
from infra.privacy.unmasklog import who
from infra.rejudge.arriving import wait_until_stored
from infra.rejudge.causes import Due, due
from infra.rejudge.comparing import Outcome, Scope
from infra.rejudge.journal import Entry, Journal
from infra.rejudge.judging import judge_again, parts, past_of, rules_of
from infra.rejudge.past import Past
from infra.replay.touched import reach
from infra.run.alone import alone
from infra.run.announcing import registry
from infra.run.paths import DataPaths
from schemas.errors import ConfigError
from schemas.headers import NEVER


@dataclass(frozen=True, slots=True)
class Asked:
    """What is judged again; see the command's options."""

    start: str
    end: str
    keys: tuple[str, ...]
    rules: tuple[str, ...]
    reason: str
    due: bool
    dry_run: bool
    corrected: tuple[str, ...] = ()
    as_it_was: tuple[str, ...] = ()


def run(asked: Asked, config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Judge the past again, tell what is different, and write down that it was done.

    Raises:
        ConfigError: no time or no reason is given, or a time cannot be read, or what was corrected is no row.
        AupstreamError: a server does not answer.
    """
    chosen = choose(config, data)
    said = Said.of(asked.corrected, asked.as_it_was)
    if not asked.due:  # what is wrong with it is told before a server is waited for
        check(chosen.config, said, _scope(asked, chosen))
    elif said:
        hint = "say --from and --to in place of --due"
        raise ConfigError("it must be said for what time it was corrected", where="--corrected", hint=hint)
    if asked.dry_run:
        _run(asked, chosen, said, as_json=as_json)
        return
    with alone(DataPaths(chosen.config.data.absolute()).rejudge / "lock", _wait):
        _run(asked, chosen, said, as_json=as_json)


def _wait(process: str) -> None:
    talk(f"the past is being judged again by another process ({process}): waiting for its end")


def _run(asked: Asked, chosen: Chosen, said: Said, *, as_json: bool) -> None:
    kafka, store = kafka_of(chosen), Store(dsn_of(chosen))
    journal = Journal(DataPaths(chosen.config.data.absolute()).rejudge)
    try:
        tell(kafka, recorded(chosen.config.permit_log)())
        if not asked.dry_run:
            _complete(journal, kafka, store)
        rules = rules_of(kafka, chosen.config)
        past = None
        for whole, ruleset in _by_rules(_wanted(asked, chosen, said.causes(), store, kafka), rules):
            one = _kept(whole, ruleset, chosen)
            wait_until_stored(kafka)
            past = past or _past(asked, chosen, said)
            talk(f"judging again from {iso(one.scope.start)} to {iso(one.scope.end)}: {one.reason}")
            events = EventTables(dsn_of(chosen), None, None, Unsealer(chosen))
            with progress("reading events", None, size=False) as bar:
                outcome = judge_again(kafka, events, one.scope, ruleset, past, bar)
            if not asked.dry_run:
                span = one.scope.start, one.scope.end
                journal.tell(kafka, store, Entry.of(outcome, who(), one.reason, span, one.causes))
            _show(outcome, as_json=as_json)
            _sum_up(outcome, told=not asked.dry_run)
    finally:
        store.close()


def _complete(journal: Journal, kafka: str, store: Store) -> None:
    """What was cut off while it was told is told to its end."""
    entry = journal.begun()
    if entry is not None:
        number = journal.complete(kafka, store, entry)
        talk(f"a judging was cut off while it was told; {number} of {len(entry.records)} were left: {entry.reason}")


def _past(asked: Asked, chosen: Chosen, said: Said) -> Past:
    """What was in force when; what is said to have been corrected is written down, but for a dry run."""
    if asked.due:
        return past_of(chosen.config)
    scope, before = _scope(asked, chosen), past_of(chosen.config)
    if asked.dry_run:
        past = past_of(chosen.config, said.for_time(scope, ""))
    else:
        correct(chosen.config, said, scope, {"who": who(), "reason": asked.reason.strip()})
        past = past_of(chosen.config)
    for sentence in compared(past, before, said, scope):
        talk(sentence)
    return past


def _wanted(asked: Asked, chosen: Chosen, causes: tuple[str, ...], store: Store, kafka: str) -> Iterator[Due]:
    if not asked.due:
        yield Due(_scope(asked, chosen), causes, asked.reason.strip())
        return
    known = registry(kafka)
    found = due(store, Unsealer(chosen), known.permits, past_of(chosen.config), known.gaps)
    if not found:
        talk("nothing is to be judged again")
    yield from found


def _scope(asked: Asked, chosen: Chosen) -> Scope:
    """What the command line names.

    Raises:
        ConfigError: no reason is given, or a time cannot be read.
    """
    need_reason(asked.reason, "rejudge")
    zone = district_of(chosen.config.district).timezone
    times = [moment(text, zone, end=last) for text, last in ((asked.start, False), (asked.end, True))]
    for text, name, found_time in zip((asked.start, asked.end), ("--from", "--to"), times, strict=True):
        if found_time is None:
            raise ConfigError(f"{text!r} is no time", where=name, hint="write it like 2026-03-02 or 2026-03-02T09:00")
    start, end = times
    assert start is not None
    assert end is not None
    if end <= start:
        raise ConfigError("it ends before it begins", where="--to", hint="swap --from and --to")
    return Scope(start, end, frozenset(k.strip().lower() for k in asked.keys), frozenset(asked.rules))


def _by_rules(wanted: Iterable[Due], rules: Announced) -> Iterator[tuple[Due, RuleSet]]:
    """Cut where rules were changed; what it is for is done with the last part only."""
    for due_one in wanted:
        cut = parts(due_one.scope, rules.periods())
        for number, (scope, version) in enumerate(cut, 1):
            causes = due_one.causes if number == len(cut) else ()
            yield replace(due_one, scope=scope, causes=causes), rules.ruleset(version)


def _kept(one: Due, ruleset: RuleSet, chosen: Chosen) -> Due:
    """Without the time of which events are kept no longer, or lack those that their windows held with them."""
    days = chosen.config.privacy.retention.events_days
    since = int((datetime.now(UTC).timestamp() - days * 86_400) * 1e6) + reach(ruleset.rules) if days else NEVER
    if one.scope.start >= since:
        return one
    talk(f"events are kept for {days} days: what began before {iso(since)} is left as it is")
    return replace(one, scope=replace(one.scope, start=since, end=max(since, one.scope.end)))


def _show(outcome: Outcome, *, as_json: bool) -> None:
    named = (("withdrawn", outcome.withdrawn), ("raised", outcome.raised), ("changed", outcome.changed))
    rows = [_plain(what, record) for what, records in named for record in records]
    if as_json:
        for row in rows:
            json_line(row)
        return
    columns = ("what", "id", "rule_id", "status", "first_seen", "related")
    table(columns, [[" ".join(v) if isinstance(v, list) else v for v in (row[c] for c in columns)] for row in rows])


def _plain(what: str, record: dict[str, Any]) -> dict[str, Any]:
    """Without names: who they are about is asked of `aupstream violations`."""
    first = iso(record["first_seen"])
    plain = {name: record[name] for name in ("id", "version", "rule_id", "clause", "status", "related")}
    return {"what": what, **plain, "first_seen": first}


def _sum_up(outcome: Outcome, *, told: bool) -> None:
    counts: list[tuple[Records | list[str], str]] = [
        (outcome.withdrawn, "withdrawn"),
        (outcome.raised, "raised"),
        (outcome.changed, "changed"),
    ]
    said = ", ".join(f"{len(some)} {what}" for some, what in counts)
    talk(f"{said}; whoever was told is told again" if told else f"{said}; nothing was told: --dry-run")
    if outcome.open:
        talk(f"{len(outcome.open)} are still going on and were left as they are: {' '.join(outcome.open)}")
    if outcome.unsettled:
        talk(
            f"{len(outcome.unsettled)} cannot be judged by the events that are stored, which end before them or do not "
            f"hold all of their evidence any more, and were left as they are: {' '.join(outcome.unsettled[:10])}"
        )
