"""By what the past is judged again: by what was in force then, but for what was said to have been wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from agents.build import district_of
from agents.context.permit import Act, Permit
from agents.engine.episodes import Judge
from agents.engine.pipeline import Pipeline, last_versions
from agents.rules.loader import load_rules
from agents.settings import DistrictSettings
from infra.rejudge.causes import _names
from infra.rejudge.corrections import AS_IT_WAS, Correction, What, append, read, what_of
from infra.rejudge.past import Past, keep_now
from infra.rejudge.permits import PermitsThen
from schemas.errors import ConfigError, InputError
from schemas.headers import NEVER
from schemas.kinds import EventKind
from schemas.registry import polars_schema
from tests.cli.command import aupstream

MARCH, MAY, LATE = "2026-03-02T06-00-00.000000Z", "2026-05-04T06-00-00.000000Z", "2026-09-01T06-00-00.000000Z"
LAPTOP, CART = "3c:52:82:00:00:01", "3c:52:82:00:00:02"
ROSTER = "account,roles,supervisor\nhead,principal,\nanna,{anna},head\n"
DEVICES = "mac,owner,kind,site\n{laptop},{owner},laptop,\n".replace("{laptop}", LAPTOP)
PERMITS = "who,clause,from,to,granted_by,reason\n"
GRANT = "anna,11,2026-03-01,2026-03-31,{by},{reason}\n"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


IN_FEBRUARY, IN_MARCH, IN_MAY = at("2026-02-10T09:00:00"), at("2026-03-10T09:00:00"), at("2026-05-10T09:00:00")
APRIL = at("2026-04-01T00:00:00")


def _put(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def _now(folder: Path, **files: str) -> DistrictSettings:
    """The files as they are now, beside the folder of their versions."""
    _put(folder, **files)
    plain = DistrictSettings(domains=("schools.example",), kept=folder / "context")
    return plain.model_copy(update={name: folder / f"{name}.csv" for name in files})


def _past(settings: DistrictSettings, corrections: Sequence[Correction] = ()) -> Past:
    assert settings.kept is not None
    return Past(settings, district_of(settings), settings.kept, corrections)


def _roles(past: Past, t_us: int) -> tuple[str, ...] | None:
    person = past.context(past.number(t_us))[0].roster.person("anna")
    return None if person is None else person.roles


def _owner(past: Past, t_us: int, mac: str = LAPTOP) -> str | None:
    device = past.context(past.number(t_us))[1].device(mac)
    return None if device is None else device.owner


def _year(tmp_path: Path) -> DistrictSettings:
    """Anna was a student until May, and the laptop became hers then; of September there is what is there now."""
    student, teacher = ROSTER.format(anna="student"), ROSTER.format(anna="teacher")
    _put(tmp_path / "context" / MARCH, roster=student, inventory=DEVICES.format(owner="ben"))
    _put(tmp_path / "context" / MAY, roster=teacher, inventory=DEVICES.format(owner="anna"))
    gone = ROSTER.splitlines()[0] + "\nhead,principal,\n"
    _put(tmp_path / "context" / LATE, roster=gone, inventory=DEVICES.format(owner="anna"))
    return _now(tmp_path, roster=gone, inventory=DEVICES.format(owner="anna"))


def test_who_was_a_student_and_had_a_device_then_is_judged_as_such(tmp_path: Path) -> None:
    past = _past(_year(tmp_path))
    assert [_roles(past, t) for t in (IN_MARCH, IN_MAY)] == [("student",), ("teacher",)]
    assert [_owner(past, t) for t in (IN_MARCH, IN_MAY)] == ["ben", "anna"]
    assert _roles(past, at("2026-10-01T00:00:00")) is None
    assert _roles(past, at("2026-05-04T06:00:00")) == ("teacher",), "from that very moment on"


def test_before_the_oldest_version_it_counts_itself(tmp_path: Path) -> None:
    past = _past(_year(tmp_path))
    assert (_roles(past, IN_FEBRUARY), past.starts[0]) == (("student",), NEVER)


def test_without_versions_the_files_count_as_they_are(tmp_path: Path) -> None:
    past = _past(_now(tmp_path, inventory=DEVICES.format(owner="ben")))
    assert (past.starts, _owner(past, IN_MARCH)) == ([NEVER], "ben")


def test_a_version_that_says_the_same_is_none_of_its_own(tmp_path: Path) -> None:
    for stamp in (MARCH, MAY, LATE):
        _put(tmp_path / "context" / stamp, inventory=DEVICES.format(owner="ben"))
    assert len(_past(_now(tmp_path, inventory=DEVICES.format(owner="ben"))).eras) == 1


def test_a_corrected_file_counts_for_its_time_and_no_longer(tmp_path: Path) -> None:
    correction = Correction(What("inventory"), at("2026-03-01T00:00:00"), APRIL, "")
    past = _past(_year(tmp_path), [correction])
    assert [_owner(past, t) for t in (IN_FEBRUARY, IN_MARCH, APRIL, IN_MAY)] == ["ben", "anna", "ben", "anna"]
    assert _roles(past, IN_MARCH) == ("student",), "the roster was right"


def test_of_a_corrected_row_everybody_else_stays_who_they_were(tmp_path: Path) -> None:
    settings = _year(tmp_path)
    _put(tmp_path, roster="account,roles\nhead,teacher\nanna,nurse\n", inventory=f"{DEVICES}{CART},,cart,\n")
    some = [Correction(What("roster", "anna"), NEVER, APRIL, ""), Correction(What("inventory", CART), NEVER, APRIL, "")]
    past = _past(settings, some)
    head = past.context(past.number(IN_MARCH))[0].roster.person("head")
    assert (_roles(past, IN_MARCH), head and head.roles) == (("nurse",), ("principal",))
    assert (_owner(past, IN_MARCH, CART), _owner(past, IN_MARCH)) == ("", "ben")
    assert _roles(past, IN_MAY) == ("teacher",)


def test_a_row_that_is_gone_is_taken_out_and_makes_no_roster_where_there_was_none(tmp_path: Path) -> None:
    settings = _year(tmp_path)
    assert _roles(_past(settings, [Correction(What("roster", "anna"), NEVER, APRIL, "")]), IN_MARCH) is None
    (tmp_path / "context" / MARCH / "roster.csv").unlink()
    past = _past(settings, [Correction(What("roster", "head"), NEVER, APRIL, "")])
    assert not past.context(past.number(IN_MARCH))[0].roster.present


def test_of_two_corrections_the_later_one_counts(tmp_path: Path) -> None:
    settings = _year(tmp_path)
    row, whole = (Correction(What("inventory", one), NEVER, APRIL, LATE if one else MARCH) for one in (LAPTOP, ""))
    assert _owner(_past(settings, [whole, row]), IN_MARCH) == "anna"
    assert _owner(_past(settings, [row, whole]), IN_MARCH) == "ben"


def test_what_was_said_to_be_corrected_can_be_taken_back(tmp_path: Path) -> None:
    settings = _year(tmp_path)
    whole, row = (Correction(What("inventory", one), NEVER, APRIL, "") for one in ("", LAPTOP))
    for said in ([whole], [row], [row, whole]):
        taken_back = [Correction(c.what, NEVER, APRIL, AS_IT_WAS) for c in said]
        assert _owner(_past(settings, said), IN_MARCH) == "anna"
        assert _owner(_past(settings, [*said, *taken_back]), IN_MARCH) == "ben"
    assert (
        _owner(_past(settings, [whole, Correction(What("inventory", LAPTOP), NEVER, APRIL, AS_IT_WAS)]), IN_MARCH)
        == "ben"
    )


def test_a_version_that_cannot_be_read_is_passed_over_for_the_next_one(tmp_path: Path) -> None:
    settings = _year(tmp_path)
    _put(tmp_path / "context" / MARCH, inventory="nonsense\n")
    assert _owner(_past(settings), IN_MARCH) == "anna"


def test_a_correction_that_is_not_kept_any_more_is_not_forgotten_in_silence(tmp_path: Path) -> None:
    past = _past(_year(tmp_path), [Correction(What("inventory"), NEVER, APRIL, "2026-06-01T06-00-00.000000Z")])
    with pytest.raises(InputError, match="not kept any more"):
        _owner(past, IN_MARCH)


def test_corrections_are_appended_once_and_a_torn_one_is_none(tmp_path: Path) -> None:
    one, two = Correction(What("roster"), 1, 2, MAY), Correction(What("inventory", CART), 1, 2, MAY)
    for _ in range(2):  # who was killed after it says it again
        append(tmp_path, [one, two], {"reason": "a cart"})
    assert read(tmp_path) == [one, two]
    path = tmp_path / "corrections.jsonl"
    path.write_text(path.read_text() + '{"file": "ro')
    assert read(tmp_path) == [one, two]
    append(tmp_path, [replaced := Correction(What("roster"), 1, 2, LATE)], {"reason": "again"})
    assert read(tmp_path) == [one, two, replaced]
    assert json.loads(path.read_text().splitlines()[0])["reason"] == "a cart"


def test_the_files_of_now_are_kept_once(tmp_path: Path) -> None:
    settings = _year(tmp_path)
    assert settings.kept is not None
    assert keep_now(settings, settings.kept) == LATE
    _put(tmp_path, inventory=DEVICES.format(owner="cleo"))
    name = keep_now(settings, settings.kept)
    assert (settings.kept / name / "inventory.csv").read_text() == DEVICES.format(owner="cleo")
    assert keep_now(settings, settings.kept) == name


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("roster", What("roster")),
        ("inventory:3C-52-82-00-00-01", What("inventory", LAPTOP)),
        ("roster:Anna", What("roster", "anna")),
    ],
)
def test_what_was_corrected_is_spelled_as_files_spell_it(text: str, what: What) -> None:
    assert what_of(text) == what


@pytest.mark.parametrize("text", ["calendar", "inventory:anna", "permits:anna"])
def test_what_cannot_be_corrected_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        what_of(text)


def _permitted(past: Past, t_us: int) -> str | None:
    """What is said against a permit of Anna's; None where there is none."""
    found = PermitsThen(past, ()).covering(["anna"], 11, t_us, Act())
    return None if found is None else str(found.get("refused", ""))


def _permits(tmp_path: Path, then: str, now: str) -> DistrictSettings:
    roster = ROSTER.format(anna="teacher")
    for stamp, permits in ((MARCH, then), (MAY, now)):
        _put(tmp_path / "context" / stamp, roster=roster, permits=PERMITS + permits)
    return _now(tmp_path, roster=roster, permits=PERMITS + now)


def test_permits_say_themselves_when_they_count(tmp_path: Path) -> None:
    grant = GRANT.format(by="head", reason="trip")
    assert _permitted(_past(_permits(tmp_path / "struck", grant, "")), IN_MARCH) == ""
    assert _permitted(_past(_permits(tmp_path / "added", "", grant)), IN_MARCH) == ""
    nothing = _past(_permits(tmp_path / "none", "", ""))
    assert (_permitted(nothing, IN_MARCH), PermitsThen(nothing, ()).knows(11)) == (None, False)


def test_a_permit_that_never_was_one_is_taken_out_by_a_correction(tmp_path: Path) -> None:
    settings = _permits(tmp_path, GRANT.format(by="head", reason="trip"), "")
    corrections = [Correction(What("permits"), NEVER, APRIL, "")]
    assert _permitted(_past(settings, corrections), IN_MARCH) is None
    corrections.append(Correction(What("permits"), NEVER, APRIL, AS_IT_WAS))
    assert _permitted(_past(settings, corrections), IN_MARCH) == ""


def test_whose_permit_it_is_and_who_might_grant_it_the_roster_of_then_says(tmp_path: Path) -> None:
    settings = _permits(tmp_path, grant := GRANT.format(by="head", reason="trip"), grant)
    _put(tmp_path / "context" / MAY, roster="account,roles\nanna,teacher\nhead,student\n")
    _put(tmp_path, roster="account,roles\nanna,teacher\nhead,student\n")
    assert _permitted(_past(settings), IN_MARCH) == ""


def test_whose_permit_it_is_the_names_of_then_say_too(tmp_path: Path) -> None:
    roster = "account,roles,mail\nhead,principal,\n"
    _put(tmp_path / "context" / MARCH, roster=f"{roster}anna,teacher,anna.lee@schools.example\n")
    _put(tmp_path / "context" / MAY, roster=roster)
    permit = Permit("anna", 11, IN_MARCH, IN_MAY, "head", "trip")
    assert _names(_past(_now(tmp_path, roster=roster)), permit) >= {"anna", "anna.lee@schools.example"}


RULE = """
title: A student's chats
name: student-chats
description: x
level: low
falsepositives: [x]
logsource: {category: proxy}
detection:
  selection: {person_roles: student}
  condition: selection
aupstream: {clause: 2, group-by: [person]}
"""


def _page(number: int, t_us: int) -> dict[str, Any]:
    given = {"event_id": f"{number:032x}", "log_hash": "0" * 32, "log_source": "p", "log_generation": "0" * 32}
    return given | {"timestamp": t_us, "source_mac": LAPTOP, "user_name": "anna", "late": False, "time_suspect": False}


def test_one_run_judges_each_event_by_the_roster_of_its_time(tmp_path: Path) -> None:
    (tmp_path / "rule.yml").write_text(RULE)
    past = _past(_year(tmp_path))
    schema = polars_schema("proxy")
    pages = [_page(n, t) for n, t in enumerate((IN_MAY, IN_MARCH, IN_FEBRUARY, IN_MARCH + 1))]
    frame = pl.DataFrame([dict.fromkeys(schema) | page for page in pages], schema=schema)
    pipeline = Pipeline(
        load_rules([tmp_path / "rule.yml"]), past.district, past.context(0)[1], Judge(PermitsThen(past, ())), then=past
    )
    pipeline.take(EventKind.PROXY, frame)
    found = [e["event_id"][-1] for v in last_versions(pipeline.finish()) for e in v["evidence"]]
    assert sorted(found) == ["1", "2", "3"]
    assert pipeline.counters.rows == 4


CONFIG = """
[district]
inventory = "inventory.csv"
"""


def test_what_was_not_wrong_then_cannot_be_corrected(tmp_path: Path) -> None:
    _put(tmp_path, inventory=DEVICES.format(owner="ben"))
    file = tmp_path / "aupstream.toml"
    file.write_text(f'data = "{tmp_path / "data"}"\n{CONFIG}')
    asked = ("rejudge", "-c", file, "--from", "2026-03-02", "--to", "2026-03-02", "--reason", "x")
    ran = aupstream(*asked, "--corrected", f"inventory:{CART}")
    assert (ran.code, "has no such row" in ran.err) == (2, True), ran.err
    ran = aupstream(*asked, "--corrected", "roster")
    assert (ran.code, "there is no roster" in ran.err) == (2, True), ran.err
    ran = aupstream("rejudge", "-c", file, "--due", "--corrected", "inventory")
    assert (ran.code, "for what time" in ran.err) == (2, True), ran.err
