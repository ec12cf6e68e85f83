"""A permit is judged by who might grant it when it was granted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from agents.build import district_of, judge_of
from agents.context.kept import versions
from agents.context.permit import Act
from agents.context.permitfile import moment
from agents.settings import DistrictSettings
from infra.run.contextfiles import ContextFiles

PEOPLE = "account,roles,site,supervisor,active\nhead,principal,north,,{head}\ncoach,teacher,north,{boss},\n"
HERE, GONE = PEOPLE.format(head="yes", boss="head"), PEOPLE.format(head="no", boss="head")
VANISHED = "account,roles,site\ncoach,teacher,north\n"
PERMIT = "who,clause,from,to,granted_by,reason\ncoach,11,2026-01-12,2026-05-29,head,the term\n"
NONE = PERMIT.splitlines()[0] + "\n"
ENTERED = {
    "action": "grant", "id": "a", "who": "coach", "clause": "11", "from": "2026-01-12", "to": "2026-05-29",
    "granted_by": "head", "reason": "the term",
}  # fmt: skip


def _settings(folder: Path, *versions: tuple[str, str, str]) -> DistrictSettings:
    """Versions (time, roster, permits); the last is in force."""
    version = folder
    for at, roster, permits in versions:
        version = folder / "context" / at
        version.mkdir(parents=True)
        (version / "roster.csv").write_text(roster)
        (version / "permits.csv").write_text(permits)
    return DistrictSettings(roster=version / "roster.csv", permits=version / "permits.csv", kept=folder / "context")


def _says(settings: DistrictSettings, *records: Mapping[str, str]) -> str | None:
    """What is said against the permit in April; None where none is near."""
    at = moment("2026-04-13T09:00:00+00:00", district_of(settings).timezone, end=False)
    assert at is not None
    found = judge_of(settings, district_of(settings), lambda: records).permits.covering(["coach"], 11, at, Act())
    return None if found is None else found.get("refused", "")


JANUARY, MARCH, APRIL = (f"2026-{month:02}-05T08-00-00.000000Z" for month in (1, 3, 4))


@pytest.mark.parametrize("after", [GONE, VANISHED])
def test_a_permit_of_the_file_outlasts_who_granted_it(tmp_path: Path, after: str) -> None:
    settings = _settings(tmp_path, (JANUARY, HERE, PERMIT), (MARCH, after, PERMIT), (APRIL, after, PERMIT))
    assert _says(settings) == ""
    assert _says(settings.model_copy(update={"kept": None})) != "", "without versions nothing is known of then"


def test_one_that_was_written_after_they_left_counts_for_nothing(tmp_path: Path) -> None:
    settings = _settings(tmp_path, (JANUARY, HERE, NONE), (MARCH, GONE, NONE), (APRIL, GONE, PERMIT))
    assert _says(settings) == "who granted it has left"


@pytest.mark.parametrize(
    ("recorded", "why"), [("2026-01-08", ""), ("2026-01-02", ""), ("2026-03-09", "who granted it has left")]
)
def test_one_that_was_entered_is_of_the_roster_of_that_time(tmp_path: Path, recorded: str, why: str) -> None:
    settings = _settings(tmp_path, (JANUARY, HERE, NONE), (MARCH, GONE, NONE))
    assert _says(settings, ENTERED | {"recorded": f"{recorded}T12:00:00Z"}) == why


def test_one_that_was_checked_when_it_was_entered_needs_no_versions(tmp_path: Path) -> None:
    settings = _settings(tmp_path, (MARCH, GONE, NONE)).model_copy(update={"kept": None})
    record = ENTERED | {"recorded": "2026-01-08T12:00:00Z"}
    assert _says(settings, record) == "who granted it has left"
    assert _says(settings, record | {"roster": "1f2e3d4c5b6a"}) == ""


def test_a_version_that_cannot_be_read_any_more_says_nothing(tmp_path: Path) -> None:
    settings = _settings(tmp_path, (JANUARY, HERE, PERMIT), (MARCH, GONE, PERMIT))
    (tmp_path / "context" / JANUARY / "roster.csv").write_text("nothing\n")
    (tmp_path / "context" / "notes").mkdir()
    assert _says(settings) == "who granted it has left"


def test_what_is_kept_while_everything_runs_is_found_again(tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_text(HERE)
    (tmp_path / "permits.csv").write_text(PERMIT)
    kept = tmp_path / "context"
    files = ContextFiles(
        DistrictSettings(roster=tmp_path / "roster.csv", permits=tmp_path / "permits.csv", kept=kept), kept
    )
    files.keep()
    (tmp_path / "roster.csv").write_text(GONE)
    assert _says(files.keep()) == ""


def test_half_a_version_is_none(tmp_path: Path) -> None:
    """Whoever was killed while it was copied has not judged by it: without its roster everybody would be a stranger."""
    for name in (MARCH, f"{APRIL}.part", "corrections.jsonl"):
        (tmp_path / name).mkdir()
    assert [path.name for _, path in versions(tmp_path)] == [MARCH]
