"""The roster, of plain CSV and of OneRoster, and what is refused of both."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from agents.context.oneroster import read_oneroster
from agents.context.roster import Person, Roster
from schemas.errors import ConfigError, Errors

PLAIN = """\
account,roles,mail,site,supervisor,classes,guardians,active
Head,principal,head@s.example,north,,,,
anna,Teacher; coach,anna@s.example;a.b@s.example,north,head,7b;8a,,yes
pupil1,student,pupil1@st.example,north,,7b,mum@home.example,
pupil2,student,,north,,9c,,
scanner,service,scan@s.example,north,head,,,
"""
ONEROSTER = {
    "users": "sourcedId,status,enabledUser,orgSourcedIds,role,username,email,agentSourcedIds,givenName\n"
    "u1,active,true,o1,administrator,head,head@s.example,,Hanna\n"
    "u2,active,true,o1,teacher,anna@s.example,anna@s.example,,Anna\n"
    'u3,active,true,"o2,o1",student,pupil1,,g1,Pim\n'
    "u4,tobedeleted,false,o1,student,gone,,,Gone\n"
    "g1,active,true,o1,parent,mum,mum@home.example,,Mia\n",
    "orgs": "sourcedId,status,name,type\no1,active,North High,school\no2,active,District,district\n",
    "classes": "sourcedId,status,title\nc1,active,Maths\n",
    "enrollments": "sourcedId,status,classSourcedId,schoolSourcedId,userSourcedId,role\n"
    "e1,active,c1,o1,u2,teacher\ne2,active,c1,o1,u3,student\ne3,tobedeleted,c9,o1,u3,student\n",
}
ROLES = "sourcedId,status,userSourcedId,roleType,role,orgSourcedId\nr1,active,u1,primary,principal,o1\n"


def _folder(folder: Path, **changed: str) -> Path:
    for name, text in {**ONEROSTER, **changed}.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8-sig")
    return folder


def _mistakes(roster: object) -> list[str]:
    with pytest.raises(Errors) as caught:
        roster()  # type: ignore[operator]
    return [str(error) for error in caught.value.errors]


def test_a_plain_roster_says_what_everybody_is() -> None:
    roster = Roster.parse(PLAIN, "roster.csv")
    anna = roster.person("anna")
    assert anna == Person(
        "anna", ("teacher", "coach"), ("anna@s.example", "a.b@s.example"), "north", "head", frozenset({"7b", "8a"})
    )
    assert roster.by_mail("A.B@S.example") is anna
    assert roster.person("nobody") is None
    assert (roster.teaches("anna", "pupil1"), roster.teaches("pupil2", "anna")) == (True, False)
    assert (roster.reports_to("anna", "head"), roster.reports_to("head", "anna")) == (True, False)
    assert roster.principals == {"north": ("head",)}
    assert [p.account for p in roster.people.values() if not p.is_human] == ["scanner"]


def test_a_wrong_roster_is_refused_with_every_row_that_is() -> None:
    rows = ["a,teacher,,,nobody,,,", "b@x,teacher,,,,,,", "c,,,,,,,", "d,staff,d.example,,,,,", "e,staff,,,,,,perhaps"]
    rows += ["f,staff,,,g,,,", "g,staff,,,f,,,", "anna,staff,,,,,,", "h,staff,head@s.example,,,,,"]
    wrong = _mistakes(lambda: Roster.parse(PLAIN + "\n".join(rows), "roster.csv"))
    assert [text.split(": ")[0] for text in wrong] == [f"roster.csv:{n}" for n in (8, 9, 10, 11, 14, 15, 7, 12, 13)]
    assert "supervisor 'nobody' is nobody in this roster" in wrong[6]
    assert "account 'anna' stands at roster.csv:3 already" in wrong[4]


def test_a_header_that_lacks_or_invents_a_column_is_refused() -> None:
    assert "header lacks 'roles'" in _mistakes(lambda: Roster.parse("account\nanna\n", "r.csv"))[0]
    assert "header has unknown 'rols'" in _mistakes(lambda: Roster.parse("account,roles,rols\n", "r.csv"))[0]


def test_oneroster_of_both_versions_gives_the_same_people(tmp_path: Path) -> None:
    old = _folder(tmp_path)
    found = read_oneroster(old)
    assert set(found.people) == {"head", "anna", "pupil1"}, "no guardians, and none that is to be deleted"
    pupil = found.people["pupil1"]
    assert (pupil.site, pupil.roles, pupil.guardians) == ("North High", ("student",), ("mum@home.example",))
    assert found.teaches("anna", "pupil1")
    packed = tmp_path / "new.zip"
    with zipfile.ZipFile(packed, "w") as new:
        for name, text in {**ONEROSTER, "roles": ROLES}.items():
            new.writestr(f"{name}.csv", text)
    of_zip = read_oneroster(packed)
    assert of_zip.people["head"].roles == ("principal", "administrator")
    assert of_zip.people["anna"].supervisor == "head", "a building's principal answers for its staff"
    assert of_zip.people["pupil1"].supervisor == ""


def test_oneroster_that_contradicts_itself_is_refused_with_every_row(tmp_path: Path) -> None:
    enrolled = ONEROSTER["enrollments"].replace("c1,o1,u2", "c5,o1,u9")
    users = ONEROSTER["users"].replace(",o1,teacher,anna@s.example", ",o7,,")
    wrong = _mistakes(lambda: read_oneroster(_folder(tmp_path, enrollments=enrolled, users=users)))
    assert len(wrong) == 5
    for place, says in (
        ("enrollments.csv:2", "no class 'c5'"), ("enrollments.csv:2", "no user 'u9'"), ("users.csv:3", "has no role"),
        ("users.csv:3", "has no username"), ("users.csv:3", "no org 'o7'"),
    ):  # fmt: skip
        assert any(f"{tmp_path}/{place}: " in text and says in text for text in wrong), (place, says, wrong)


def test_oneroster_without_a_file_or_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    _folder(tmp_path)
    (tmp_path / "classes.csv").unlink()
    assert "classes.csv: file is missing" in _mistakes(lambda: read_oneroster(tmp_path))[0]
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ConfigError, match=r"broken\.zip: cannot be read"):
        read_oneroster(broken)
