"""Versions of the context files go when nothing leans on them any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents.context.kept import STAMP, versions
from agents.settings import DistrictSettings
from infra.privacy.versions import purge_versions
from infra.privacy_settings import Retention
from infra.rejudge.corrections import Correction, What, append
from infra.run.contextfiles import ContextFiles

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEPT = Retention(events_days=30, violations_days=60, evidence_days=60)
ROSTER = "account,roles\nanna,teacher\nboss,principal\n"
PERMITS = "who,clause,from,to,granted_by,reason,id\n"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> DistrictSettings:
    roster, permits = tmp_path / "roster.csv", tmp_path / "permits.csv"
    roster.write_text(ROSTER)
    permits.write_text(PERMITS)
    return DistrictSettings(name="D", timezone="UTC", domains=("school.example",), roster=roster, permits=permits)


def _keep(settings: DistrictSettings, folder: Path, days: int) -> Path:
    """A version of the files as they are, as if it had been in force from so many days ago."""
    assert settings.roster is not None
    settings.roster.write_text(settings.roster.read_text() + f"p{days},teacher\n")
    files = ContextFiles(settings, folder)
    files.keep()
    newest = max(path for _, path in versions(folder))
    return newest.rename(folder / (NOW - timedelta(days=days)).strftime(STAMP))


def _purged(settings: DistrictSettings, folder: Path, retention: Retention = KEPT) -> tuple[list[str], set[Path]]:
    said = purge_versions(folder, settings, tuple, retention, NOW)
    return said, {path for _, path in versions(folder)}


def test_a_version_goes_once_it_was_not_in_force_for_as_long_as_names_are_kept(
    tmp_path: Path, settings: DistrictSettings
) -> None:
    folder = tmp_path / "context"
    long_ago, before, still, newest = [_keep(settings, folder, days) for days in (200, 100, 61, 1)]
    assert _purged(settings, folder, Retention(events_days=30)) == ([], {long_ago, before, still, newest})
    said, left = _purged(settings, folder)
    assert said == ["deleted 1 versions of context files that were not in force any more on 2026-09-19"]
    assert left == {before, still, newest}, "the one before 61 days ago was in force 62 days ago"
    assert _purged(settings, folder) == ([], left)


def test_the_version_in_force_stays_however_old_it_is(tmp_path: Path, settings: DistrictSettings) -> None:
    only = _keep(settings, tmp_path / "context", 900)
    assert _purged(settings, tmp_path / "context") == ([], {only})


@pytest.mark.parametrize(("until", "stays"), [("2026-12-31", True), ("2026-03-01", False)])
def test_a_version_that_says_whether_a_permit_might_be_given_stays_as_long_as_the_permit_is_of_use(
    tmp_path: Path, settings: DistrictSettings, until: str, *, stays: bool
) -> None:
    assert settings.permits is not None
    folder = tmp_path / "context"
    settings.permits.write_text(f"{PERMITS}anna@school.example,11,2026-01-01,{until},boss,letters,p1\n")
    given, between, newest = [_keep(settings, folder, days) for days in (300, 200, 100)]
    assert _purged(settings, folder)[1] == ({given, newest} if stays else {newest})
    del between


@pytest.mark.parametrize(("days_ago", "stays"), [(10, True), (90, False)])
def test_a_version_that_a_correction_goes_by_stays_as_long_as_its_time_is_kept(
    tmp_path: Path, settings: DistrictSettings, days_ago: int, *, stays: bool
) -> None:
    folder = tmp_path / "context"
    right, newest = [_keep(settings, folder, days) for days in (300, 100)]
    end = (NOW - timedelta(days=days_ago) - _EPOCH) // timedelta(microseconds=1)
    append(folder, [Correction(What("roster"), 0, end, right.name)], {"who": "it"})
    assert _purged(settings, folder)[1] == ({right, newest} if stays else {newest})
