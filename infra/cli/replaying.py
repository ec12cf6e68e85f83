"""What `aupstream deadletters replay` does: lines that could not be read are read again, by the formats of now."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from agents.sinks.clickhouse import ClickHouse
from infra.cli.configuration import Chosen, choose
from infra.cli.letters import Letter, letters, opened
from infra.cli.output import json_line, line, progress, talk, warn
from infra.cli.reading_again import Span, judge_again, tell
from infra.cli.serving import kafka_of
from infra.cli.store import Store, dsn_of
from infra.cli.unmasking import need_reason
from infra.privacy.unmasklog import who
from infra.replay.letters_source import LettersSource, Line
from infra.replay.sending import Sent, send
from infra.replay.storing import wait_until_stored
from infra.run.alone import alone
from infra.run.paths import DataPaths
from schemas.errors import InputError
from streams.config import SourceConfig
from streams.normalisers import registry

TIMELINE = "replay-"  # how the names of such timelines begin
_COLUMNS = ("replay", "source", "ids", "at", "who", "reason", "done", "events", "unreadable")
_BEGUN = """
SELECT replay, any(source) AS name, any(ids) AS letters, argMax(who, at) AS who, max(at) AS begun FROM replays
GROUP BY replay HAVING max(done) = 0 ORDER BY replay
"""
ELSEWHERE = timedelta(hours=1)  # one that another machine began longer ago was cut off
# Of one reading: their ids are one statement of ClickHouse, which takes 256 KiB, and their lines are in memory.
AT_ONCE = 5_000
_SYNC = {"mutations_sync": 2, "lightweight_deletes_sync": 2}


@dataclass(frozen=True, slots=True)
class Asked:
    """The command's options."""

    sources: tuple[str, ...]
    reasons: tuple[str, ...]
    ids: tuple[str, ...]
    why: tuple[str, str]
    rejudge: bool


@dataclass(frozen=True, slots=True)
class _Replay:
    """Letters of one source; `timeline` is empty where it is a new replay."""

    name: str
    config: SourceConfig
    letters: list[Letter]
    timeline: str = ""


def run(asked: Asked, config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Read dead letters again, take those out that are events now, and say which windows that touches.

    Raises:
        ConfigError: there is no reason, or there are no keys.
        InputError: none can be read again; the unmask log does not hold; somebody else replays dead letters now.
        ServerError: a server does not answer, or what was sent is not stored.
    """
    need_reason(asked.why[0], "deadletters replay")
    chosen = choose(config, data)
    with alone(DataPaths(chosen.config.data.absolute()).replaying, _refuse):
        spans = _replay_all(asked, chosen, as_json=as_json)
    if asked.rejudge:
        judge_again(spans, f"dead letters replayed: {asked.why[0]}", config, data, as_json=as_json)


def _refuse(process: str) -> None:
    """Both would read the same lines, and take the other's replay for one that was cut off."""
    hint = "wait for its end; what it leaves can be replayed then"
    raise InputError(f"dead letters are being replayed by another process ({process})", where="deadletters", hint=hint)


def _replay_all(asked: Asked, chosen: Chosen, *, as_json: bool) -> list[Span]:
    """See `run`; spans that judging again is to look at."""
    kafka, store = kafka_of(chosen), Store(dsn_of(chosen))
    try:
        made = [_replay(store, chosen, kafka, one, asked.why) for one in _cut_off(store, chosen)]
        wanted = [letter for letter in _wanted(store, asked) if letter.told["stage"] == "normalise"]
        if not wanted:
            raise InputError("there are no such dead letters of logs", hint="see `aupstream deadletters list`")
        for one in _by_source(chosen, wanted):
            made.append(_replay(store, chosen, kafka, one, asked.why))
            _show(one, made[-1], as_json=as_json)
        return tell(chosen, made)
    finally:
        store.close()


def _show(one: _Replay, sent: Sent, *, as_json: bool) -> None:
    told = {"source": one.name, "lines": len(one.letters), "events": sent.count, "unreadable": len(sent.rejected)}
    if as_json:
        json_line(told)
    else:
        line("\t".join(f"{value} {name}" if name != "source" else str(value) for name, value in told.items()))


def _cut_off(store: Store, chosen: Chosen) -> Iterator[_Replay]:
    """Replays that were begun and not ended, with what is left of them: they are ended first, under their own names.

    Begun anew under another name their lines would be moved twice.
    """
    rows = store.rows(_BEGUN)
    _none_elsewhere(rows)
    for row in rows:
        begun = set(row["letters"])
        left = [letter for letter in letters(store, log_source=[row["name"]], lines=False) if letter.id in begun]
        if not left:  # all were taken out, and only that it is done was not written down
            store.insert(
                "replays", _COLUMNS, [(row["replay"], row["name"], [], datetime.now(UTC), who(), "", True, 0, 0)]
            )
        for one in _by_source(chosen, left, at_once=max(len(left), 1)):
            talk(f"a replay of source {one.name} was cut off, and is ended first")
            yield replace(one, timeline=str(row["replay"]))


def _none_elsewhere(begun: Iterable[Mapping[str, Any]]) -> None:
    """Refuse where another machine has begun one lately: no lock tells whether it was cut off there."""
    here, lately = socket.gethostname(), datetime.now(UTC) - ELSEWHERE
    for row in begun:
        host = str(row["who"]).rpartition(" on ")[2]
        if host != here and row["begun"].replace(tzinfo=UTC) > lately:
            minutes = ELSEWHERE // timedelta(minutes=1)
            raise InputError(
                f"dead letters of source {row['name']} are being replayed on {host}",
                where="deadletters",
                hint=f"wait for its end; if it was cut off, replay there, or here {minutes} minutes after it began",
            )


def _wanted(store: Store, asked: Asked) -> list[Letter]:
    if not asked.ids:
        return letters(store, log_source=asked.sources, reason=asked.reasons, lines=False)
    found = [letter for start in asked.ids for letter in letters(store, start=start, lines=False)]
    return list({letter.id: letter for letter in found}.values())


def _by_source(chosen: Chosen, wanted: Sequence[Letter], at_once: int = AT_ONCE) -> Iterator[_Replay]:
    """What can be read again, by source and so many at once; of the rest it is said why not."""
    known = {source.name: source for source in chosen.config.collectors()}
    for name, some in groupby(sorted(wanted, key=_source_of), key=_source_of):
        mine = list(some)
        if name not in known:
            warn(f"source {name}: the configuration has none of this name, its {len(mine)} lines stay")
            continue
        settings = known[name].normaliser_settings(date.today())  # noqa: DTZ011 - only to ask whether it joins
        if registry.make(known[name].type, settings).joins:
            warn(
                f"source {name}: its events are joined of several lines, so its {len(mine)} lines say nothing one by "
                "one; read the log with `aupstream backfill`, under another name"
            )
            continue
        whole = [letter for letter in mine if not letter.told["masked"] and not _cut(letter)]
        if len(whole) < len(mine):
            warn(f"source {name}: {len(mine) - len(whole)} lines are masked or cut and stay; the log has them whole")
        for start in range(0, len(whole), at_once):
            yield _Replay(name, known[name], whole[start : start + at_once])


def _source_of(letter: Letter) -> str:
    return str(letter.told["log_source"])


def _cut(letter: Letter) -> bool:
    return int(letter.told["raw_length"]) != letter.length - (16 if letter.sealed else 0)


def _replay(store: Store, chosen: Chosen, kafka: str, one: _Replay, why: tuple[str, str]) -> Sent:
    known = [letter.id for letter in one.letters]
    some = [
        letter
        for start in range(0, len(known), AT_ONCE)
        for letter in letters(store, ids=known[start : start + AT_ONCE])
    ]
    raws = opened(store, chosen, some, "replay dead letters", why)
    lines = [
        Line(str(letter.told["log_generation"]), int(letter.told["log_offset"]), raw)
        for letter, raw in zip(some, raws, strict=True)
        if raw is not None
    ]
    ids = sorted(letter.id for letter, raw in zip(some, raws, strict=True) if raw is not None)
    name = one.timeline or TIMELINE + hashlib.blake2b("\n".join(ids).encode(), digest_size=8).hexdigest()
    journal = (name, one.name, ids, datetime.now(UTC), who(), why[0].strip())
    store.insert("replays", _COLUMNS, [(*journal, False, 0, 0)])
    wanted = replace(one.config, path="-", mode="once", timeline=name)
    talk(f"source {one.name}: reading {len(lines)} lines again")
    sent = send(chosen.config, kafka, wanted, LettersSource(lines), today=_seen(one.letters))
    with progress("storing", sent.count, size=False) as bar:
        wait_until_stored(store, sent, (one.name, name), bar)
    _take_out(chosen, [i for i in ids if i not in sent.rejected])
    store.insert("replays", _COLUMNS, [(*journal, True, sent.count, len(sent.rejected))])
    return sent


def _seen(some: Iterable[Letter]) -> date:
    """When such lines were read first: their year is that one where they say none."""
    return min(datetime.fromisoformat(str(letter.told["stored_at"])).date() for letter in some)


def _take_out(chosen: Chosen, ids: Sequence[str]) -> None:
    """Dead letters that are none any more; after their events are stored, so that a line is never nowhere."""
    if not ids:
        return
    writer = ClickHouse(dsn_of(chosen), threading.Event())
    try:
        for start in range(0, len(ids), AT_ONCE):  # a replay that an earlier release began may have more
            some = {"ids": tuple(ids[start : start + AT_ONCE])}
            writer.execute("DELETE FROM dead_letters WHERE event_id IN %(ids)s", some, settings=_SYNC)
    finally:
        writer.close()
