"""`aupstream permits`: given, looked up, taken back, and what a backtest makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import aupstream

ROSTER = """\
account,roles,mail,site,supervisor
head,principal,head@school.example,north,
coach,teacher,coach@school.example,north,head
band,teacher,band@school.example,north,head
"""
CONFIG = """\
[district]
timezone = "America/Denver"
domains = ["school.example"]
roster = "roster.csv"
permits = "permits.csv"

[[sources]]
name = "mail"
type = "postfix"
path = "mail.log"
year = 2026
"""
WRITTEN = "id,who,clause,from,to,granted_by,reason\nfair,band,11,2026-03-01,2026-03-31,head,spring fair\n"
GIVEN = (
    "--who", "coach", "--clause", 11, "--from", "2026-03-02T08:00", "--to", "2026-03-02T12:00",
    "--reason", "season opening",
)  # fmt: skip
AT = "2026-03-02T09:00"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    people = range(60)
    lines = [
        "Mar  2 09:00:00 mx postfix/cleanup[2]: 4AAAAA: message-id=<a@school.example>",
        "Mar  2 09:00:00 mx postfix/qmgr[3]: 4AAAAA: from=<coach@school.example>, size=900, nrcpt=60 (queue active)",
        *(
            f"Mar  2 09:00:01 mx postfix/lmtp[4]: 4AAAAA: to=<p{i}@school.example>, relay=x[10.0.0.1]:24, delay=1, "
            "delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 ok)"
            for i in people
        ),
        "Mar  2 09:00:02 mx postfix/qmgr[3]: 4AAAAA: removed",
    ]
    (tmp_path / "mail.log").write_text("\n".join(lines) + "\n")
    (tmp_path / "roster.csv").write_text(ROSTER)
    (tmp_path / "permits.csv").write_text(WRITTEN)
    (tmp_path / "aupstream.toml").write_text(CONFIG)
    return tmp_path / "aupstream.toml"


def _judged(config: Path) -> tuple[str, dict[str, object] | None]:
    (found,) = aupstream("backtest", "-c", config).objects
    return found["status"], found["permit"]


def test_a_permit_is_entered_listed_shown_counts_and_is_taken_back(config: Path) -> None:
    assert _judged(config) == ("violation", None)
    added = aupstream("permits", "add", *GIVEN, "--granted-by", "head", "--recipients", 80, "-c", config)
    assert added.code == 0, added.err
    name = added.out.strip()
    status, permit = _judged(config)
    assert (status, permit and permit["id"]) == ("permitted", name)
    listed = aupstream("permits", "list", "--at", AT, "-c", config, "--json").objects
    assert [(p["id"], p["who"], p["state"]) for p in listed] == [
        ("fair", "band", "in force"),
        (name, "coach", "in force"),
    ]
    assert aupstream("permits", "show", name, "-c", config, "--json").objects[0]["recipients"] == 80
    assert aupstream("permits", "check", "coach@school.example", "--clause", 11, "--at", AT, "-c", config).code == 0

    by = ("--by", "head", "--reason", "cancelled", "--at", "2026-03-02T08:30")
    assert aupstream("permits", "revoke", name, *by, "-c", config).code == 0
    status, permit = _judged(config)
    assert (status, permit and permit["refused"]) == ("violation", "it had been revoked")
    asked = aupstream("permits", "check", "coach", "--clause", 11, "--at", AT, "-c", config)
    assert (asked.code, "it had been revoked" in asked.out) == (1, True)
    assert aupstream("permits", "show", name, "-c", config, "--json").objects[0]["state"] == "revoked"


@pytest.mark.parametrize(
    ("granter", "says"),
    [("band", "no supervisor"), ("coach", "who granted it is who is permitted"), ("someone", "nobody in the roster")],
)
def test_who_may_not_grant_cannot_enter_a_permit(config: Path, granter: str, says: str) -> None:
    ran = aupstream("permits", "add", *GIVEN, "--granted-by", granter, "-c", config)
    assert (ran.code, says in ran.err) == (2, True)
    assert not (config.parent / "data" / "permits.jsonl").exists()


def test_who_may_not_grant_may_not_take_back_what_another_was_permitted(config: Path) -> None:
    name = aupstream("permits", "add", *GIVEN, "--granted-by", "head", "-c", config).out.strip()
    ran = aupstream("permits", "revoke", name, "--by", "band", "--reason", "envy", "-c", config)
    assert (ran.code, "may not take back" in ran.err) == (2, True)
    assert aupstream("permits", "revoke", name, "--by", "coach", "--reason", "not needed", "-c", config).code == 0


def test_times_are_the_districts_and_are_kept_with_their_offset(config: Path) -> None:
    name = aupstream("permits", "add", *GIVEN, "--granted-by", "head", "-c", config).out.strip()
    (permit,) = aupstream("permits", "show", name, "-c", config, "--json").objects
    assert (permit["from"], permit["to"]) == ("2026-03-02T15:00:00Z", "2026-03-02T19:00:00Z")


def test_the_same_permit_entered_twice_is_two(config: Path) -> None:
    names = [aupstream("permits", "add", *GIVEN, "--granted-by", "head", "-c", config).out.strip() for _ in range(2)]
    assert names[1] == f"{names[0]}-2"


@pytest.mark.parametrize("what", ["season opening", '"number":1'])
def test_a_permit_that_was_changed_afterwards_is_noticed(config: Path, what: str) -> None:
    for _ in range(2):
        aupstream("permits", "add", *GIVEN, "--granted-by", "head", "-c", config)
    log = config.parent / "data" / "permits.jsonl"
    log.write_text(log.read_text().replace(what, '"number":3' if ":" in what else "anything"))
    for command in (("permits", "list"), ("backtest",)):
        ran = aupstream(*command, "-c", config)
        assert (ran.code, f"{log}:1" in ran.err) == (4, True)


def test_a_line_that_was_cut_off_while_it_was_written_is_none(config: Path) -> None:
    first = aupstream("permits", "add", *GIVEN, "--granted-by", "head", "-c", config).out.strip()
    log = config.parent / "data" / "permits.jsonl"
    log.write_text(log.read_text() + '{"number":2,"hash":"')
    second = aupstream("permits", "add", *GIVEN, "--granted-by", "head", "-c", config).out.strip()
    listed = aupstream("permits", "list", "--all", "-c", config, "--json").objects
    assert [p["id"] for p in listed] == ["fair", first, second]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (("--from", "monday"), "`from` 'monday'"),
        (("--to", "2026-03-01"), "ends before it starts"),
        (("--hours", "always"), "`hours` 'always'"),
        (("--device", "laptop"), "`device` 'laptop'"),
        (("--reason", " "), "a reason is needed"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(config: Path, changed: tuple[str, str], says: str) -> None:
    ran = aupstream("permits", "add", *GIVEN, "--granted-by", "head", *changed, "-c", config)
    assert (ran.code, says in ran.err) == (2, True)
    assert not (config.parent / "data" / "permits.jsonl").exists()


def test_a_permit_that_nobody_knows_is_told(config: Path) -> None:
    assert "no permit of this id" in aupstream("permits", "show", "nothing", "-c", config).err
    ran = aupstream("permits", "revoke", "fair", "--by", "head", "--reason", "x", "-c", config)
    assert (ran.code, "in the file" in ran.err) == (4, True)
