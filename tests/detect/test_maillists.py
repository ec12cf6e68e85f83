"""Mailing lists: read whole or refused whole; who owns one, what it sends from, and how many it stands for."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.context.maillists import MailLists
from agents.context.roster import Roster
from agents.engine.enrich import Enricher
from agents.rules.examples import frame_of
from schemas.errors import Errors
from schemas.kinds import EventKind

ROWS = (
    "address,owners,size,members\nStaff@School.example,head;office@school.example,,\nall@school.example,,3,\n"
    "band@school.example,head,,B1@school.example; b2@home.example\n"
)
LISTS = MailLists.parse(ROWS, "lists.csv")
ROSTER = Roster.parse(
    "account,roles,mail\nhead,principal,h.teacher@school.example\nbells,service,\nsue,teacher,staff-owner@school.example\n",
    "roster.csv",
)
DISTRICT = District.of("Example", "UTC", ["school.example"]).knowing(ROSTER, lists=LISTS)


def test_a_wrong_file_is_refused_whole_with_every_bad_row() -> None:
    rows = "address,owners,size\nstaff,head,\na@b.example,,\nA@b.example,,\nc@b.example,,many\nd@b.example,,100001\n"
    with pytest.raises(Errors) as raised:
        MailLists.parse(rows, "lists.csv")
    assert [(e.where, str(e).partition(": ")[2].partition("; ")[0] != "") for e in raised.value.errors] == [
        (f"lists.csv:{line}", True) for line in (2, 4, 5, 6)
    ]


@pytest.mark.parametrize(
    ("sender", "kind"),
    [
        ("head@school.example", "person"), ("nobody-known@school.example", "person"), ("root", "person"),
        ("Bells@school.example", "service"), ("STAFF@school.example", "list"), ("staff-bounces@school.example", "list"),
        ("owner-staff@school.example", "list"), ("staff+bnc7@school.example", "list"),
        ("staff-bounces+anna=home.example@school.example", "list"), ("staffing@school.example", "person"),
        ("staff@home.example", None), ("", None), ("staff-owner@school.example", "person"),
        ("bells+today@school.example", "service"),
    ],
)  # fmt: skip
def test_who_sends(sender: str, kind: str | None) -> None:
    assert DISTRICT.sender_kind(sender) == kind


def _reached(district: District, sender: str, to: list[str], through: list[str]) -> tuple[list[str], int]:
    frame = frame_of(
        EventKind.MAIL,
        [{
            "event_id": "e", "timestamp": 0, "email_message_id": "m", "email_from_address": sender,
            "email_to_address": to, "email_to_original_address": through, "email_to_status": ["sent"] * len(to),
            "email_to_filter": [False] * len(to),
        }],
    )  # fmt: skip
    columns = ["delivered_recipients", "recipients_internal"]
    made = Enricher(district, Inventory.none()).add(frame, EventKind.MAIL, columns)
    values, inside = made.select(columns).row(0)
    return [value.split("\x1f")[-1] for value in values], inside


@pytest.mark.parametrize(
    ("sender", "to", "through", "values", "inside"),
    [
        ("h.teacher@school.example", ["a@school.example"], ["staff@school.example"], [], 1),
        ("head@school.example", ["a@school.example"], ["staff@school.example"], [], 1),
        (
            "office@school.example",
            ["a@school.example", "b@x.example"],
            ["Staff@school.example", ""],
            ["b@x.example"],
            1,
        ),
        ("office@x.example", ["a@school.example"], ["staff@school.example"], ["a@school.example"], 1),
        ("anna@school.example", ["All@school.example"], [""], [f"all#{n}@school.example" for n in (1, 2, 3)], 3),
        (
            "anna@school.example",
            ["all@school.example", "b@school.example"],
            ["", "all@school.example"],
            ["all@school.example", "b@school.example"],
            2,
        ),
        ("anna@school.example", ["staff@school.example"], [""], ["staff@school.example"], 1),
        ("head@school.example", ["b1@school.example", "c@school.example"], ["", ""], ["c@school.example"], 2),
        ("anna@school.example", ["band@school.example"], [""], ["b1@school.example", "b2@home.example"], 1),
        ("head@school.example", ["band@school.example", "b1@school.example"], ["", ""], [], 1),
    ],
    ids=[
        "by a mail of the roster",
        "by the account",
        "beside it",
        "elsewhere",
        "by size",
        "expanded",
        "no size",
        "a member",
        "by members",
        "both",
    ],
)
def test_whom_a_message_reached(sender: str, to: list[str], through: list[str], values: list[str], inside: int) -> None:
    assert _reached(DISTRICT, sender, to, through) == (values, inside)


def test_many_messages_through_lists_are_as_each_by_itself() -> None:
    rows = [
        {"event_id": str(n), "timestamp": n, "email_message_id": str(n), "email_from_address": sender,
         "email_to_address": to, "email_to_original_address": [""] * len(to), "email_to_status": ["sent"] * len(to),
         "email_to_filter": [False] * len(to)}
        for n, (sender, to) in enumerate(
            [("a@school.example", ["all@school.example"]), ("head@school.example", ["staff@school.example"]),
             ("b@school.example", []), ("c@school.example", ["x@x.example", "all@school.example"])] * 3
        )
    ]  # fmt: skip
    enricher, column = Enricher(DISTRICT, Inventory.none()), "delivered_recipients"
    whole = enricher.add(frame_of(EventKind.MAIL, rows), EventKind.MAIL, [column])[column]
    single = [enricher.add(frame_of(EventKind.MAIL, [row]), EventKind.MAIL, [column])[column] for row in rows]
    assert whole.to_list() == pl.concat(single).to_list()


@pytest.mark.parametrize(
    "row",
    [
        '"a@b.example","c, d",,', "a@b.example,c d,,", "a@b.example,C <c@b.example>,,", "a@b.example,c|d,,",
        "a@b.example,mailto:c@b.example,,", '"a@b.example",,,"c@b.example, d@b.example"', "a@b.example,,,nobody",
        "\u200ba@b.example,,,", "*@b.example,*,60,",
    ],
)  # fmt: skip
def test_what_would_accuse_or_excuse_in_silence_is_refused(row: str) -> None:
    with pytest.raises(Errors, match="is no mail address or account"):
        MailLists.parse(f"address,owners,size,members\n{row}\n", "lists.csv")


def test_lists_within_lists_are_opened_and_one_within_itself_is_no_member() -> None:
    rows = "a@x.example,,,b@x.example;1@x.example;a@x.example\nb@x.example,,,a@x.example;2@x.example\n"
    rows += "c@x.example,,3,9@x.example\n"
    lists = MailLists.parse(f"address,owners,size,members\n{rows}", "lists.csv")
    assert {a: set(lists.behind(a)) for a in lists.lists} == {
        "a@x.example": {"1@x.example", "2@x.example"},
        "b@x.example": {"1@x.example", "2@x.example"},
        "c@x.example": {"9@x.example", "c#2@x.example", "c#3@x.example"},
    }


def test_who_writes_with_a_tag_is_who_writes_without() -> None:
    assert _reached(DISTRICT, "office+x@school.example", ["p@school.example"], ["staff@school.example"]) == ([], 1)
    assert _reached(DISTRICT, "head+x@school.example", ["p@school.example"], ["staff@school.example"]) == ([], 1)


def test_a_list_may_have_very_many_members() -> None:
    members = ";".join(f"somebody.{n}@school.example" for n in range(20_000))
    lists = MailLists.parse(f"address,owners,members\nall@school.example,head,{members}\n", "lists.csv")
    assert len(lists.behind("all@school.example")) == 20_000


def test_its_version_is_its_content(tmp_path: Path) -> None:
    file = tmp_path / "lists.csv"
    file.write_text(ROWS)
    assert MailLists.read(file).version == LISTS.version
    other = MailLists.parse(ROWS.replace(",3,", ",4,"), "lists.csv")
    assert len({LISTS.version, other.version, MailLists().version}) == 3
    assert DISTRICT.version != District.of("Example", "UTC", ["school.example"]).knowing(ROSTER).version


@pytest.mark.parametrize(
    ("to", "through", "lists"),
    [
        (["Staff@school.example"], [""], "staff@school.example"),
        (["staff@school.example", "p@home.example"], ["", ""], "staff@school.example *"),
        (["p@home.example"], ["Staff@school.example"], "staff@school.example"),
        (["p@home.example"], ["alias@school.example"], None),
        (["p@home.example", "q@home.example"], ["alias@school.example"] * 2, "alias@school.example"),
        (["p@x.example", "band@school.example"], ["all@school.example", ""], "all@school.example band@school.example"),
        (["staff@school.example"], ["staff@school.example"], "staff@school.example"),
        (["p@home.example"], [""], None),
        (["p@home.example"], [], None),
        ([], [], None),
    ],
)  # fmt: skip
def test_lists_that_were_written_to_whether_the_log_shows_their_members_or_not(
    to: list[str], through: list[str], lists: str | None
) -> None:
    mail = {"email_to_address": to, "email_to_original_address": through}
    frame = frame_of(
        EventKind.MAIL, [mail, {"email_to_address": ["x@home.example"], "email_to_original_address": [""]}]
    )
    made = Enricher(DISTRICT, Inventory.none()).add(frame, EventKind.MAIL, ["email_lists"])
    assert made["email_lists"].to_list() == [lists, None]
