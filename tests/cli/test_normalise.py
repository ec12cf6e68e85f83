"""`aupstream normalise` over small logs, the output written by hand."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import fastavro
import pytest

from schemas.ids import event_id, generation_of
from streams.config import SourceConfig
from streams.normalisers.registry import types
from streams.road import frames
from tests.cli.command import ENV, ROOT, aupstream, process

SQUID = (
    b"1767625200.125     84 10.20.4.34 TCP_MISS/200 5120 GET http://www.example.org/a.html ada "
    b"HIER_DIRECT/192.0.2.10 text/html\n"
    b"\n"
    b"1767625201.000     12 10.20.4.35 http://ada:s3cret@www.example.org/ \xff\n"
    b"1767625202.000      3 10.20.4.35 TCP_DENIED/403 0 CONNECT tracker.example:443 - HIER_NONE/- -\n"
)
MAIL = b"""\
Dec 31 23:59:58 mail1 postfix/smtpd[11]: 4F2A1B3C5D: client=pc.school.example[10.20.4.34], sasl_method=PLAIN, \
sasl_username=ada
Dec 31 23:59:58 mail1 postfix/smtpd[12]: connect from unknown[198.51.100.9]
Dec 31 23:59:59 mail1 postfix/cleanup[13]: 4F2A1B3C5D: message-id=<one@school.example>
Dec 31 23:59:59 mail1 postfix/qmgr[14]: 4F2A1B3C5D: from=<ada@school.example>, size=900, nrcpt=1 (queue active)
Jan  1 00:00:01 mail1 postfix/qmgr[14]: 5A6B7C8D9E: from=<bob@school.example>, size=800, nrcpt=1 (queue active)
Jan  1 00:00:02 mail1 postfix/smtp[15]: 4F2A1B3C5D: to=<eve@else.example>, relay=mx.else.example[192.0.2.7]:25, \
delay=3, delays=1/0/1/1, dsn=2.0.0, status=sent (250 ok)
Jan  1 00:00:02 mail1 postfix/qmgr[14]: 4F2A1B3C5D: removed
Jan 99 00:00:03 mail1 postfix/qmgr[14]: 6C7D8E9FA0: removed
"""


def _file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_line_of_squid_becomes_this_object(tmp_path: Path) -> None:
    ran = aupstream("normalise", "--source", "squid", _file(tmp_path, "access.log", SQUID))
    assert ran.code == 0
    assert ran.objects[0] == {
        "kind": "proxy",
        "event_id": event_id("squid", generation_of(SQUID.split(b"\n")[0]), 0),
        "source_line": 1,
        "source_lines": [1],
        "fields": {
            "timestamp": "2026-01-05T15:00:00.125000Z",
            "event_dataset": "squid.access",
            "event_action": "allowed",
            "event_outcome": "success",
            "source_ip": "10.20.4.34",
            "user_name": "ada",
            "http_request_method": "GET",
            "url_original": "http://www.example.org/a.html",
            "url_scheme": "http",
            "url_domain": "www.example.org",
            "url_path": "/a.html",
            "url_extension": "html",
            "http_response_status_code": 200,
            "http_response_bytes": 5120,
            "http_response_mime_type": "text/html",
            "destination_ip": "192.0.2.10",
            "event_duration": 84_000_000,
            "proxy_result": "TCP_MISS",
            "proxy_hierarchy": "HIER_DIRECT",
        },
    }


def test_lines_that_are_no_events_are_told_on_standard_error_with_secrets_masked(tmp_path: Path) -> None:
    ran = aupstream("normalise", "--source", "squid", _file(tmp_path, "access.log", SQUID))
    dead = "1767625201.000     12 10.20.4.35 http://(masked)@www.example.org/ \\xff"
    assert ran.asides == [
        {"line": 2, "ignored": True, "reason": "blank_line"},
        {"line": 3, "dead_letter": dead, "reason": "unknown_form"},
    ]
    assert [e["source_line"] for e in ran.objects] == [1, 4]


def test_a_joined_mail_names_all_its_lines_and_the_one_left_open_comes_last(tmp_path: Path) -> None:
    ran = aupstream(
        *("normalise", "--source", "postfix", "--timezone", "America/Denver", "--year", "2025"),
        _file(tmp_path, "mail.log", MAIL),
    )
    whole, left = ran.objects
    assert (whole["source_line"], whole["source_lines"]) == (7, [1, 3, 4, 6, 7])
    assert whole["fields"]["timestamp_first"] == "2026-01-01T06:59:58Z"
    assert whole["fields"]["timestamp"] == "2026-01-01T07:00:02Z"
    assert whole["fields"]["email_to_address"] == ["eve@else.example"]
    assert whole["fields"]["email_complete"] is True
    assert (left["source_line"], left["source_lines"]) == (5, [5])
    assert left["fields"]["email_complete"] is False
    assert [(a["line"], a["reason"]) for a in ran.asides] == [(2, "connection"), (8, "bad_time")]


def test_every_line_is_told_of_exactly_once(tmp_path: Path) -> None:
    ran = aupstream("normalise", "--source", "postfix", "--year", "2025", _file(tmp_path, "mail.log", MAIL))
    numbers = [n for e in ran.objects for n in e["source_lines"]] + [a["line"] for a in ran.asides]
    assert sorted(numbers) == list(range(1, MAIL.count(b"\n") + 1))


@pytest.mark.parametrize(("type_name", "content"), [("squid", SQUID), ("postfix", MAIL)])
def test_ids_are_those_of_a_collector(tmp_path: Path, type_name: str, content: bytes) -> None:
    path = _file(tmp_path, "a.log", content)
    ran = aupstream("normalise", "--source", type_name, "--year", "2025", path)
    source = SourceConfig(name=type_name, type=type_name, path=str(path), year=2025)
    from datetime import date

    road = frames([source], now_us=1_800_000_000_000_000, today=date(2026, 1, 5))
    collected = [i for h, f in road if f is not None and h.schema != "dead_letter" for i in f["event_id"]]
    assert sorted(e["event_id"] for e in ran.objects) == sorted(collected)


def test_a_pipe_and_a_gzip_file_give_what_the_file_gives(tmp_path: Path) -> None:
    plain = aupstream("normalise", "--source", "squid", _file(tmp_path, "access.log", SQUID))
    packed = aupstream("normalise", "--source", "squid", _file(tmp_path, "access.log.gz", gzip.compress(SQUID)))
    piped = process("normalise", "--source", "squid", "-", stdin=SQUID)
    assert (packed.out, packed.err) == (plain.out, plain.err)
    assert (piped.code, piped.out, piped.err) == (0, plain.out, plain.err)


@pytest.mark.parametrize(("folder", "type_name"), [("mail/postfix", "postfix"), ("login/sshd_pam", "openssh")])
def test_every_line_of_the_samples_is_told_of(folder: str, type_name: str) -> None:
    logs = sorted((ROOT.parent / "shared" / "samples" / folder).rglob("*.log"))
    if not logs:
        pytest.skip(f"no samples of {folder} in ../shared/samples")
    for log in logs:
        ran = aupstream("normalise", "--source", type_name, log)
        told = {n for e in ran.objects for n in e["source_lines"]} | {a["line"] for a in ran.asides}
        ids = [e["event_id"] for e in ran.objects]
        assert ran.code == 0
        assert told == set(range(1, len(log.read_bytes().removesuffix(b"\n").split(b"\n")) + 1)), log
        assert len(ids) == len(set(ids)), log


def test_auto_says_what_it_took_the_log_for(tmp_path: Path) -> None:
    named = aupstream("normalise", "--source", "squid", _file(tmp_path, "access.log", SQUID))
    ran = aupstream("normalise", "--source", "auto", tmp_path / "access.log")
    assert ran.asides[0]["source"] == "squid"
    assert 0.5 <= ran.asides[0]["share"] <= 1.0
    assert (ran.out, ran.asides[1:]) == (named.out, named.asides)


def test_auto_takes_a_slow_pipe_for_what_has_come_so_far() -> None:
    argv = [sys.executable, "-m", "infra.cli", "normalise", "--source", "auto", "-"]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **ENV}
    ) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        run.stdin.write(SQUID)
        run.stdin.flush()
        first: dict[str, Any] = json.loads(run.stdout.readline())  # while the pipe is still open
        assert first["kind"] == "proxy"
        run.stdin.close()
        assert run.wait(60) == 0


def test_auto_says_which_type_comes_next(tmp_path: Path) -> None:
    log = _file(tmp_path, "auth.log", b"Mar  1 08:00:00 h sshd[1]: Accepted password for a from 10.0.0.1 port 1 ssh2\n")
    first = aupstream("normalise", "--source", "auto", log).asides[0]
    assert (first["source"], first["share"]) == ("openssh", 1.0)
    assert first.get("next_share", 0) <= 1.0


def test_the_list_names_every_type_with_what_it_needs_and_gives() -> None:
    listed = aupstream("normalise", "--list", "--json").objects
    assert [entry["type"] for entry in listed] == list(types())
    for entry in listed:
        assert set(entry) == {"type", "kind", "description", "needs", "fields", "options", "page"}
        assert entry["fields"][0] == "timestamp"
        assert (ROOT / entry["page"]).parent.is_dir()
    plain = aupstream("normalise", "--list")
    assert plain.out.splitlines()[0].split("\t")[:2] == ["type", "kind"]


@pytest.mark.parametrize(("type_name", "content"), [("squid", SQUID), ("postfix", MAIL)])
def test_avro_holds_the_events_that_are_printed_without_it(tmp_path: Path, type_name: str, content: bytes) -> None:
    log = _file(tmp_path, "a.log", content)
    printed = aupstream("normalise", "--source", type_name, "--year", "2025", log).objects
    ran = aupstream("normalise", "--source", type_name, "--year", "2025", "--avro", tmp_path / "e.avro", log)
    assert (ran.code, ran.out) == (0, "")
    with (tmp_path / "e.avro").open("rb") as file:
        rows: list[Any] = list(fastavro.reader(file))
    assert {row["event_id"] for row in rows} == {event["event_id"] for event in printed}
    assert ran.asides[-1]["events"] == len(rows) == len(printed)
    assert ran.asides[-1]["lines"] == content.count(b"\n")


_FORMAT = """
[formats.badge]
kind = "login"
syntax = "delimited"
columns = ["when", "user", "door", "result"]
time = { field = "when", format = "%d/%m/%Y %H:%M" }
[formats.badge.fields]
user_name = "user"
service_name = "door"
event_action = { value = "login" }
event_outcome = { field = "result", map = { ok = "success" }, default = "failure" }
[[sources]]
name = "doors"
type = "badge"
path = "elsewhere.log"
timezone = "America/Denver"
"""


def test_a_format_of_ones_own_is_tried_by_its_name_and_by_its_source(tmp_path: Path) -> None:
    config, log = (
        _file(tmp_path, "c.toml", _FORMAT.encode()),
        _file(tmp_path, "d.log", b"02/03/2024 08:00,ada,gym,ok\n"),
    )
    by_format = aupstream("normalise", "--config", config, "--source", "badge", log)
    by_source = aupstream("normalise", "--config", config, "--source", "doors", log)
    assert (by_format.code, by_source.code) == (0, 0)
    assert by_source.objects[0]["fields"] == {
        "timestamp": "2024-03-02T15:00:00Z", "event_dataset": "badge", "event_action": "login",
        "event_outcome": "success", "user_name": "ada", "service_name": "gym", "event_details": [],
    }  # fmt: skip
    assert by_format.objects[0]["fields"]["timestamp"] == "2024-03-02T08:00:00Z"
    listed = aupstream("normalise", "--config", config, "--list", "--json").objects
    assert listed[-1]["type"] == "badge"
    assert "user_name" in listed[-1]["fields"]


def test_a_log_of_no_known_type_is_refused(tmp_path: Path) -> None:
    ran = aupstream("normalise", "--source", "auto", _file(tmp_path, "poem.txt", b"roses are red\nviolets are blue\n"))
    assert (ran.code, ran.out) == (4, "")
    assert "name its type with --source; `aupstream normalise --list` names them all" in ran.err


def test_a_damaged_gzip_file_is_read_up_to_the_damage(tmp_path: Path) -> None:
    whole = gzip.compress(SQUID * 50, mtime=0)
    ran = aupstream("normalise", "--source", "squid", _file(tmp_path, "a.gz", whole[: len(whole) - 12]))
    assert ran.code == 4
    assert ran.objects[0]["source_line"] == 1
    assert "the gzip content ends in the middle" in ran.err


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--source", "squid", "missing.log"], 4, "missing.log: there is no such file"),
        (["--source", "squid", "."], 4, "this is a directory"),
        (["--source", "apache", "x"], 2, "there is no log type 'apache' (`aupstream normalise --list` names them all"),
        (["--source", "squid", "--timezone", "Denver", "x"], 2, "'Denver' is no time zone"),
        (["--source", "squid", "--year", "26", "x"], 2, "--year"),
        (["x"], 2, "--source"),
        (["--source", "squid"], 2, "no log is named"),
        (["--source", "squid", "--avro", "no/where.avro", "/dev/null"], 4, "no/where.avro: it cannot be written"),
    ],
)
def test_mistakes_are_named_with_what_to_do(args: list[str], code: int, said: str) -> None:
    ran = aupstream("normalise", *args)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    path = _file(tmp_path, "access.log", SQUID * 20_000)
    argv = [sys.executable, "-m", "infra.cli", "normalise", "--source", "squid", str(path)]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=(tmp_path / "err").open("wb"), env={**os.environ, **ENV}
    ) as run:
        assert run.stdout is not None
        run.stdout.readline()
        run.stdout.close()
        assert run.wait(60) == 0
    lines = (tmp_path / "err").read_text().splitlines()
    assert all("reason" in json.loads(line) for line in lines)
