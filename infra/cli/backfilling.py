"""What `aupstream backfill` does: reads old logs in a timeline of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from infra.cli.configuration import Chosen, choose
from infra.cli.naming import Wishes, check_files, named
from infra.cli.output import file_size, json_line, line, progress, talk
from infra.cli.reading import zone_of
from infra.cli.reading_again import judge_again, tell
from infra.cli.serving import kafka_of
from infra.cli.store import Store, dsn_of
from infra.cli.unmasking import need_reason
from infra.replay.beginnings import TIMELINE, generation, stopped
from infra.replay.live import LIVE_TIMELINE, live_end
from infra.replay.longer import ended, going_on, has_more, keep
from infra.replay.overlap import refuse_overlap
from infra.replay.sending import Sent, send
from infra.replay.storing import wait_until_stored, whole
from infra.run.paths import DataPaths
from schemas.errors import AupstreamError, Errors, InputError
from streams.config import SourceConfig
from streams.normalisers.registry import make
from streams.positions import PositionFile
from streams.sources.make import make_source

_READ = "SELECT DISTINCT timeline FROM ledger_now WHERE source = %(source)s AND generation = %(generation)s"


@dataclass(frozen=True, slots=True)
class Asked:
    """The command's options."""

    sources: tuple[str, ...]
    timezone: str | None
    year: int | None
    reason: str
    rejudge: bool
    overlap: bool = False


def run(asked: Asked, config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Read old logs, wait until they are stored, and say which windows that touches.

    Raises:
        ConfigError: a log is named wrongly, or there is no reason for judging again.
        InputError: a log cannot be read, or has been; or it is damaged or cut off, once everything before is sent.
        ServerError: a server does not answer, or what was sent is not stored.
    """
    if asked.rejudge:
        need_reason(asked.reason, "backfill")
    chosen = choose(config, data)
    wishes = Wishes(zone_of(asked.timezone) if asked.timezone else None, asked.year, chosen.config.formats)
    zone = ZoneInfo(chosen.config.district.timezone)
    wanted = named(asked.sources, chosen.config.collectors(), zone, wishes)
    check_files(wanted)
    kafka, store = kafka_of(chosen), Store(dsn_of(chosen))
    made: list[Sent] = []
    try:
        for source in wanted:
            sent = _read(chosen, kafka, store, source, overlap=asked.overlap)
            made.append(sent)
            told = {"source": source.name, "file": source.path, "events": sent.count, "unreadable": len(sent.rejected)}
            json_line(told) if as_json else line("\t".join(f"{name} {value}" for name, value in told.items()))
        spans = tell(chosen, made)
    finally:
        store.close()
    if asked.rejudge:
        judge_again(spans, asked.reason, config, data, as_json=as_json)
    damaged: list[AupstreamError] = [_said(s.damage, ended=s.ended) for s in made if s.damage is not None]
    if damaged:
        raise damaged[0] if len(damaged) == 1 else Errors(damaged)


def _said(damage: InputError, *, ended: bool) -> InputError:
    """What is wrong with a file, and what to do here."""
    hint = "get a whole copy and give the same command for it: reading goes on where it stopped"
    return damage if ended else InputError(damage.what, where=damage.where, hint=hint)


def _read(chosen: Chosen, kafka: str, store: Store, source: SourceConfig, *, overlap: bool) -> Sent:
    folder = DataPaths(chosen.config.data.absolute()).positions
    timeline = stopped(folder, source) or _begin(store, folder, source)
    wanted = replace(source, mode="once", timeline=timeline)
    positions = PositionFile(folder, wanted.name, timeline)
    begun = str(((positions.load() or {}).get("intake") or {}).get("generation", ""))  # empty: it was refused, at most
    known = {timeline, *(str(s["timeline"]) for s in ended(folder, source, begun))} if begun else set()
    if any(name.startswith(LIVE_TIMELINE) for name in known):
        known.add("live")
    if not overlap:
        refuse_overlap(store, wanted)
    talk(f"reading {source.path} as {source.name} ({source.type})")
    with progress("reading", file_size([Path(source.path)])) as bar:
        sent = send(
            chosen.config, kafka, wanted, make_source(wanted, progress=bar, damage_ends=False),
            positions=positions, refuse=_refusing(store, wanted, known),
        )  # fmt: skip
    with progress("storing", sent.count, size=False) as bar:
        wait_until_stored(store, sent, (wanted.name, timeline), bar)
    if sent.ended:
        keep(folder, wanted, joins=make(wanted.type, wanted.normaliser_settings(datetime.now(UTC).date())).joins)
    return whole(store, sent, (wanted.name, timeline))


def _begin(store: Store, folder: Path, source: SourceConfig) -> str:
    """Timeline of a reading that begins; it goes on from one that has ended where the file is a longer copy."""
    place, content = f"{source.type}\0{Path(source.path).resolve()}", generation(source)
    if read := ended(folder, source, content):
        before, prefix = (read[0] if has_more(source, read[0]) else None), TIMELINE
    else:
        before, prefix = live_end(store, folder, source, content), LIVE_TIMELINE
    if before is None:
        return TIMELINE + _short(place)
    offset = before["intake"]["offset"]
    timeline = prefix + _short(f"{place}\0{before['intake']['generation']}\0{offset}")
    talk(f"{source.path} begins with a log that was read: going on at byte {offset}")
    PositionFile(folder, source.name, timeline).save(going_on(before, timeline))
    return timeline


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _refusing(store: Store, wanted: SourceConfig, known: Collection[str]) -> Callable[[str], None]:
    """Refuses content that the source has read before, but in the timelines that this reading goes on from."""

    def refuse(generation: str) -> None:
        found = store.rows(_READ, {"source": wanted.name, "generation": generation})
        before = {row["timeline"] or "live" for row in found}.difference(known)
        if before:
            raise InputError(
                f"this log has been read ({', '.join(sorted(before))}): its content is {generation}",
                where=wanted.path,
                hint="nothing was sent; `aupstream rejudge` judges again what is stored",
            )

    return refuse
