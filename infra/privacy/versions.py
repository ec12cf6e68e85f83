"""Retention of the context files' versions: rosters and inventories of before name people whom nothing else names.

A version goes once nothing that is kept can be of the time that it was in force, as names do, and not while any
violation is on hold. One stays that says whether somebody might give a permit which is still of use, and one that a
correction of a time that is kept goes by.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from agents.build import district_of, districts_kept, judge_of
from agents.context.kept import versions
from agents.context.permitlog import LivePermits, Record
from agents.settings import DistrictSettings
from agents.sinks.clickhouse import ClickHouse
from infra.config import Config
from infra.permits.keeping import recorded
from infra.privacy_settings import Retention
from infra.rejudge.corrections import read
from infra.run.paths import DataPaths

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MORE = timedelta(days=2)  # as long as names are kept beyond the newest row that uses them


def purge_context(config: Config, store: ClickHouse) -> list[str]:
    """See `purge_versions`; nothing goes while a violation is on hold.

    Raises:
        ServerError: ClickHouse does not answer.
        Errors, InputError: as `purge_versions`.
    """
    if store.execute("SELECT count() FROM holds_now")[0][0]:
        return []
    paths, entered = DataPaths(config.data.absolute()), recorded(config.permit_log)
    return purge_versions(paths.context, config.district, entered, config.privacy.retention, datetime.now(UTC))


def purge_versions(
    folder: Path,
    settings: DistrictSettings,
    records: Callable[[], Sequence[Record]],
    retention: Retention,
    now: datetime,
) -> list[str]:
    """Delete versions that are of no use any more; what was deleted, as sentences.

    Args:
        folder: Where the versions are.
        settings: The district's files, as they are now.
        records: Gives the permits that were entered.
        retention: Days; nothing goes where names are kept for ever.
        now: Aware.

    Raises:
        Errors: a file of the district is wrong: who may permit what is not known then, and nothing is deleted.
        InputError: corrections or permits cannot be read.
    """
    if not retention.names_days:
        return []
    before = now - timedelta(days=retention.names_days) - _MORE
    before_us = (before - _EPOCH) // timedelta(microseconds=1)
    over = [path for (_, path), (end, _) in pairwise(versions(folder)) if end < before_us]
    needed = _needed(folder, settings, records, before_us) if over else frozenset[Path]()
    gone = [path for path in over if path not in needed]
    for path in gone:
        shutil.rmtree(path)
    of = f"versions of context files that were not in force any more on {before:%Y-%m-%d}"
    return [f"deleted {len(gone)} {of}"] if gone else []


def _needed(
    folder: Path, settings: DistrictSettings, records: Callable[[], Sequence[Record]], before_us: int
) -> frozenset[Path]:
    """Versions that something kept leans on."""
    district = district_of(settings)
    book, kept = judge_of(settings, district, records).permits, districts_kept(settings, folder, district)
    permits = book.permits if isinstance(book, LivePermits) else ()
    leaned_on = {kept.version_of(permit) for permit in permits if permit.to_us >= before_us}
    corrected = {folder / one.version for one in read(folder) if one.end >= before_us}
    return frozenset(path for path in leaned_on | corrected if path is not None)
