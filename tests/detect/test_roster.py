"""The roster, of plain CSV and of OneRoster, and what is refused of both."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from agents.build import roster_of
from agents.context.authority import objection
from agents.context.district import District
from agents.context.inventory import Inventory
from agents.context.oneroster import read_oneroster
from agents.context.roster import Person, Roster
from agents.context.rosterroles import RolesFile
from agents.engine.enrich import Enricher
from agents.rules.examples import frame_of
from agents.settings import DistrictSettings
from schemas.errors import ConfigError, Errors
from schemas.kinds import EventKind

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
    assert of_zip.people["head"].roles == found.people["head"].roles == ("principal", "administrator")
    assert (of_zip.principals, found.principals) == ({"North High": ("head",)},) * 2
    assert found.people["anna"].supervisor == "head"
    assert of_zip.people["anna"].supervisor == "head", "a building's principal answers for its staff"
    assert of_zip.people["pupil1"].supervisor == ""


STAFF = """\
u5,active,true,o2,administrator,dina,dina@s.example,,
u6,active,true,o1,aide,nora,nora@s.example,,
u7,active,true,o1,administrator,vic,vic@s.example,,
u8,tobedeleted,true,o1,aide,left,,,
"""


def test_an_administrator_of_the_district_answers_for_everybody_and_one_of_systems_is_it(tmp_path: Path) -> None:
    roles = "sourcedId,status,userSourcedId,roleType,role,orgSourcedId\nr1,active,u1,primary,principal,o1\n"
    roles += "r5,active,u5,primary,districtAdministrator,o2\nr6,active,u6,primary,systemAdministrator,o1\n"
    bare = (ONEROSTER["users"] + STAFF).replace(",administrator,", ",,").replace(",aide,", ",,")
    roles += "r7,active,u7,primary,siteAdministrator,o1\n"
    old = read_oneroster(_folder(tmp_path, users=ONEROSTER["users"] + STAFF))
    new = read_oneroster(_folder(tmp_path, users=bare, roles=roles))
    assert old.people["dina"].roles == ("administrator", "director")
    assert (new.people["dina"].roles, new.people["nora"].roles) == (("director",), ("it",))
    assert old.principals == new.principals == {"North High": ("head", "vic")}
    for roster in (old, new):
        district = District.of("S", "UTC", ["s.example"]).knowing(roster)
        assert objection(district, "dina", "anna") == objection(district, "head", "anna") == ""
        assert objection(district, "nora", "anna") != ""


def test_a_file_of_roles_says_what_oneroster_has_no_word_for(tmp_path: Path) -> None:
    more = tmp_path / "more.csv"
    more.write_text(
        "account,roles,site,supervisor\nu6,health;-aide,,dina\nANNA,coach,,\nu8,health,,\nvic,-administrator;office,,\n"
    )
    found = read_oneroster(_folder(tmp_path / ".", users=ONEROSTER["users"] + STAFF), RolesFile(more))
    assert (found.people["nora"].roles, found.people["nora"].supervisor) == (("health",), "dina")
    assert (found.people["anna"].roles, found.people["anna"].supervisor) == (("teacher", "coach"), "head")
    assert found.principals == {"North High": ("head",)}, "who is no administrator is no principal either"
    plain = tmp_path / "plain.csv"
    plain.write_text(PLAIN)
    more.write_text("account,roles,site\nanna,health,south\n")
    settings = DistrictSettings(roster=plain, roles=more)
    assert roster_of(settings).people["anna"].roles == ("teacher", "coach", "health")
    assert roster_of(settings).people["anna"].site == "south"
    assert roster_of(settings).version != roster_of(DistrictSettings(roster=plain)).version
    with pytest.raises(ConfigError, match="there are roles and no roster"):
        roster_of(DistrictSettings(roles=more))


def test_a_wrong_file_of_roles_is_refused_with_every_row_that_is(tmp_path: Path) -> None:
    more = tmp_path / "more.csv"
    rows = ["nobody,it,,", "anna,it,,nobody", "pupil1,,,", "head,-it,,", "head,-administrator,,", "g1,it,,"]
    more.write_text("account,roles,site,supervisor\n" + "\n".join([*rows, "u2,it,,", "anna,coach,,", "u3,it,,pupil1"]))
    with pytest.raises(Errors) as caught:
        read_oneroster(_folder(tmp_path), RolesFile(more))
    wrong = [(int(e.where.removeprefix(f"{more}:")), e.what) for e in caught.value.errors]
    assert wrong == [
        (2, "'nobody' is nobody in the roster"),
        (3, "'nobody' is nobody in the roster"),
        (4, "nothing is said of 'pupil1'"),
        (5, "'head' has no role it"),
        (6, f"'head' stands at {more}:5 already"),
        (7, "'g1' is nobody in the roster"),
        (9, f"'anna' stands at {more}:8 already"),
        (10, f"'pupil1' stands at {more}:4 already"),
    ]


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


@pytest.mark.parametrize("guardian", ["mia", "mia@s.example", "m.miller@s.example", "mia+home@s.example"])
def test_a_guardian_is_known_however_the_roster_writes_them(guardian: str) -> None:
    people = f"mia,staff,m.miller@s.example,\nben,staff,ben@s.example,\npim,student,pim@s.example,{guardian}\n"
    roster = Roster.parse(f"account,roles,mail,guardians\n{people}", "roster.csv")
    mails = [
        {"email_from_address": s, "email_to_address": ["pim@s.example"]}
        for s in ("m.miller@s.example", "ben@s.example")
    ]
    enricher = Enricher(District.of("S", "UTC", ["s.example"]).knowing(roster), Inventory.none())
    found = enricher.add(frame_of(EventKind.MAIL, mails), EventKind.MAIL, ["untaught_student"])
    assert found["untaught_student"].to_list() == [None, "pim"]
