"""`aupstream backtest`: a simulated day, options, and the mistakes people make."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Ran, aupstream, process

KEYS = [
    "id",
    "version",
    "rule_id",
    "clause",
    "status",
    "group_key",
    "first_seen",
    "last_seen",
    "count",
    "value",
    "permit",
]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "day"
    assert aupstream("simulate", "--seed", "3", "--lines", "4000", folder).code == 0
    return folder


@pytest.fixture(scope="module")
def judged(day: Path) -> Ran:
    return aupstream("backtest", "--config", day / "aupstream.toml")


def _key(violation: dict[str, Any]) -> tuple[str, str, str, datetime, int]:
    about = {name: value for name, value in violation["group_key"].items() if name != "login_source"}
    group = json.dumps(about, sort_keys=True)  # the truth does not tell the place of a login
    first = datetime.fromisoformat(violation["first_seen"])
    return violation["rule_id"], violation["status"], group, first, violation["clause"]


def test_a_simulated_day_gives_what_was_hidden_in_it(day: Path, judged: Ran) -> None:
    truth = json.loads((day / "truth.json").read_text())
    assert judged.code == 0
    assert truth["expected"]
    assert sorted(map(_key, judged.objects)) == sorted(map(_key, truth["expected"]))


def test_each_violation_has_the_promised_keys_in_one_order(judged: Ran) -> None:
    for violation in judged.objects:
        assert list(violation)[:11] == KEYS
        assert violation["evidence"]
        assert violation["first_seen"].endswith("Z")
        assert isinstance(violation["clause"], int)
        assert isinstance(violation["evidence"][0]["summary"], dict)
    permitted = [v for v in judged.objects if v["status"] == "permitted"]
    assert permitted
    assert all(v["permit"]["clause"] == v["clause"] for v in permitted)


def test_they_come_by_time(judged: Ran) -> None:
    times = [datetime.fromisoformat(v["first_seen"]) for v in judged.objects]
    assert times == sorted(times)


def test_the_summary_counts_every_source(judged: Ran) -> None:
    for source in ("proxy-main", "proxy-branch", "dhcp", "mail", "logins", "wireless"):
        assert f"{source}: " in judged.err
    assert (
        "dead letters: 1 bad_time, 1 no_header" in judged.err or "dead letters: 1 no_header, 1 bad_time" in judged.err
    )
    assert f"{len(judged.objects)} found" in judged.err


def test_a_finding_ends_with_1_only_where_that_was_asked_for(day: Path) -> None:
    assert aupstream("backtest", "-c", day / "aupstream.toml", "--fail-on-violation").code == 1
    quiet = day.parent / "quiet.log"
    quiet.write_text("Mar 25 10:00:00 shell1 sshd[2]: Accepted password for ada from 10.0.0.1 port 1 ssh2\n")
    assert aupstream("backtest", "--fail-on-violation", f"openssh:{quiet}").code == 0


def test_named_logs_take_the_settings_of_the_configured_source_of_that_name(day: Path, judged: Ran) -> None:
    ran = aupstream("backtest", "-c", day / "aupstream.toml", f"mail=postfix:{day / 'mail.log'}")
    assert ran.objects == [v for v in judged.objects if v["rule_id"] == "mass-mail"]
    assert ran.objects


def test_without_a_configuration_options_say_the_same(day: Path) -> None:
    year = json.loads(aupstream("normalise", "--source", "freeradius", day / "radius.log").out.splitlines()[0])
    ran = aupstream(
        *("backtest", "--timezone", "America/Denver", "--year", year["fields"]["timestamp"][:4]),
        *("--inventory", day / "inventory.csv", f"dhcp=isc_dhcpd:{day / 'dhcpd.log'}"),
    )
    truth = json.loads((day / "truth.json").read_text())
    expected = [e for e in truth["expected"] if e["rule_id"] == "new-device"]
    assert [v["group_key"] for v in ran.objects] == [e["group_key"] for e in expected]
    assert {v["status"] for v in ran.objects} == {"violation", "informational"}  # the permits are missing


def test_permits_make_it_permitted(day: Path) -> None:
    mail = f"postfix:{day / 'mail.log'}"
    config = day / "aupstream.toml"
    without = aupstream(
        "backtest", "-c", config, "--permits", _nobody(day.parent), mail, "--timezone", "America/Denver"
    )
    assert {v["status"] for v in without.objects} == {"violation"}


def _nobody(folder: Path) -> Path:
    path = folder / "nobody.csv"
    path.write_text("who,clause,from,to,granted_by,reason\n")
    return path


def test_a_gzip_file_and_standard_input_give_the_same_violations(day: Path, judged: Ran) -> None:
    wanted = [v for v in judged.objects if v["rule_id"] == "mass-mail"]
    packed = day.parent / "mail.log.gz"
    packed.write_bytes(gzip.compress((day / "mail.log").read_bytes()))
    ran = aupstream("backtest", "-c", day / "aupstream.toml", f"mail=postfix:{packed}")
    piped = process("backtest", "-c", day / "aupstream.toml", "mail=postfix:-", stdin=(day / "mail.log").read_bytes())
    assert ran.objects == wanted
    assert piped.objects == wanted


def test_a_configuration_in_the_working_directory_is_found(
    day: Path, judged: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(day)
    ran = aupstream("backtest")
    assert ran.out == judged.out
    assert "using aupstream.toml" in ran.err


def test_rules_of_ones_own_replace_the_ones_that_come_along(day: Path, judged: Ran, tmp_path: Path) -> None:
    from agents.rules.loader import POLICY_FOLDER

    shutil.copy(next(POLICY_FOLDER.rglob("mass-mail.yml")), tmp_path / "mine.yml")
    ran = aupstream("backtest", "-c", day / "aupstream.toml", "--rules", tmp_path)
    assert ran.objects == [v for v in judged.objects if v["rule_id"] == "mass-mail"]


def test_a_bad_rule_ends_with_3_and_its_place(day: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("title: nothing else\n")
    ran = aupstream("backtest", "-c", day / "aupstream.toml", "--rules", tmp_path / "bad.yml")
    assert (ran.code, ran.out) == (3, "")
    assert f"{tmp_path / 'bad.yml'}:1:1: neither a detection nor a correlation" in ran.err


def test_a_folder_without_rules_is_no_rule_set(tmp_path: Path) -> None:
    ran = aupstream("backtest", "--rules", tmp_path, "squid:/dev/null")
    assert ran.code == 3
    assert "there is no rule" in ran.err


@pytest.mark.parametrize(
    ("sources", "code", "said"),
    [
        ([], 2, "there is no log to read"),
        (["mail.log"], 2, "write [NAME=]TYPE:FILE"),
        (["postfix:"], 2, "this names no source"),
        (["apache:x.log"], 2, "'apache' is no type of log"),
        (["mail=squib:x.log"], 2, "did you mean squid?"),
        (["a/b=postfix:x.log"], 2, "'/' in no name of a source: 'a/b'"),
        (["=postfix:x.log"], 2, "no name of a source"),
        (["a\tb=postfix:x.log"], 2, "no name of a source"),
        (["postfix:x.log", "postfix:y.log"], 2, "a second source is called 'postfix'"),
        (["a=postfix:x.log", "b=postfix:./x.log"], 2, "'a' reads the same log"),
        (["a=postfix:-", "b=squid:-"], 2, "standard input can be read once"),
        (["postfix:x.log"], 4, "x.log: log of source 'postfix' cannot be read: No such file or directory"),
        (["postfix:."], 4, "it is a folder, not a log"),
        (["--config", "none.toml"], 2, "none.toml: there is no such configuration file"),
        (["--inventory", "none.csv", "squid:/dev/null"], 2, "none.csv"),
        (["--rules", "none", "squid:/dev/null"], 3, "none: there is no such file or folder"),
        (["--timezone", "Mars/North", "squid:/dev/null"], 2, "'Mars/North' is no time zone"),
    ],
)
def test_mistakes_are_named_with_what_to_do(sources: list[str], code: int, said: str) -> None:
    ran = aupstream("backtest", *sources)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_all_that_is_wrong_is_told_at_once() -> None:
    ran = aupstream("backtest", "apache:x", "postfix", "squid:one.log")
    assert ran.err.count("error: ") == 2
    ran = aupstream("backtest", "squid:one.log", "postfix:two.log")
    assert ran.err.count("error: ") == 2


def test_one_log_may_be_read_as_two_types(tmp_path: Path) -> None:
    both = tmp_path / "syslog"
    both.write_text(
        "Mar 25 10:00:00 h sshd[2]: Accepted password for ada from 10.0.0.1 port 1 ssh2\n"
        "Mar 25 10:00:01 h dhcpd[3]: DHCPACK on 10.0.0.1 to 00:1c:7e:00:00:01 via eth0\n"
    )
    ran = aupstream("backtest", f"openssh:{both}", f"isc_dhcpd:{both}")
    assert ran.code == 0
    assert "openssh: 2 lines, 1 events of 1 lines, 1 ignored, 0 dead letters" in ran.err
    assert "isc_dhcpd: 2 lines, 1 events of 1 lines, 1 ignored, 0 dead letters" in ran.err


def test_a_log_of_another_type_is_remarked_on(day: Path) -> None:
    ran = aupstream("backtest", f"squid:{day / 'mail.log'}")
    assert "warning: squid: not one event; is it a log of type squid?" in ran.err


def test_a_damaged_log_is_judged_as_far_as_it_goes_and_ends_with_4(day: Path) -> None:
    whole = gzip.compress((day / "dhcpd.log").read_bytes())
    cut = day.parent / "cut.gz"
    cut.write_bytes(whole[:-20])
    ran = aupstream("backtest", "-c", day / "aupstream.toml", f"dhcp=isc_dhcpd:{cut}")
    assert ran.code == 4
    assert ran.objects
    assert "gzip content" in ran.err
