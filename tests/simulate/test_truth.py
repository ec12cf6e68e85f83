"""The truth of a simulated day, held against an independent reading of its raw logs."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from infra.simulate import Lookalike, Truth
from tests.simulate.oracle import (
    FIVE_MINUTES,
    HALF_HOUR,
    HOUR,
    TEN_MINUTES,
    Login,
    Logs,
    by_key,
    guessed,
    judge,
    mail_figures,
    window,
)

Day = Callable[[int, int], tuple[Truth, Logs]]
DAYS = [*((seed, 20_000) for seed in range(7)), *((seed, 2_000) for seed in range(9)), (5, 9_999), (3, 250_000)]


@pytest.mark.parametrize(("seed", "lines"), DAYS)
def test_exactly_the_expected_violations_are_in_the_raw_logs(simulated: Day, seed: int, lines: int) -> None:
    truth, logs = simulated(seed, lines)
    found = Counter((f.rule_id, f.key, f.first_seen, f.status) for f in judge(logs))
    expected = Counter(
        (e.rule_id, *e.group_key.values(), int(datetime.fromisoformat(e.first_seen).timestamp()), e.status)
        for e in truth.expected
    )
    assert found == expected


ONE_LINE_LESS = [
    ("guessed-password", "auth.log", r"Failed password for {who} from"),
    ("guessed-password", "auth.log", r"Accepted password for {who} from"),
    ("shared-device", "radius.log", r"Login OK: .*cli {who}"),
    ("two-sites", "radius.log", r"Login OK: \[{who}/"),
]


@pytest.mark.parametrize(("rule", "name", "form"), ONE_LINE_LESS)
def test_the_oracle_would_notice_a_scenario_that_falls_short(
    simulated: Day, tmp_path: Path, rule: str, name: str, form: str
) -> None:
    """Seed 0 begins with the scenarios that only just reach their limits."""
    truth, logs = simulated(0, 2_000)
    folder = shutil.copytree(logs.folder, tmp_path / "day")
    one = next(e for e in truth.expected if e.rule_id == rule and e.status == "violation")
    (key,) = one.group_key.values()
    who = f"(?:{key}|{key.upper().replace(':', '-')})"
    lines = (folder / name).read_text().splitlines(keepends=True)
    hits = [i for i, line in enumerate(lines) if re.search(form.format(who=who), line)]
    del lines[hits[0]]
    (folder / name).write_text("".join(lines))
    assert (rule, key) not in {(f.rule_id, f.key) for f in judge(Logs(folder))}


def test_the_oracle_would_notice_one_recipient_less(simulated: Day, tmp_path: Path) -> None:
    """Seed 1 begins with 100 deliveries to the same 25 people."""
    truth, logs = simulated(1, 2_000)
    folder = shutil.copytree(logs.folder, tmp_path / "day")
    one = next(e for e in truth.expected if e.rule_id == "mass-mail" and e.status == "violation")
    (sender,) = one.group_key.values()
    queue_id = next(e.queue_id for e in logs.entries if e.sender == sender)
    lines = (folder / "mail.log").read_text().splitlines(keepends=True)
    lines.remove(next(line for line in lines if f"{queue_id}: to=" in line))
    (folder / "mail.log").write_text("".join(lines))
    assert ("mass-mail", sender) not in {(f.rule_id, f.key) for f in judge(Logs(folder))}


@pytest.mark.parametrize(("seed", "lines"), DAYS)
def test_every_lookalike_is_near_and_innocent(simulated: Day, seed: int, lines: int) -> None:
    truth, logs = simulated(seed, lines)
    accused = {(e.rule_id, key) for e in truth.expected if e.status == "violation" for key in e.group_key.values()}
    for one in truth.lookalikes:
        assert (one.rule_id, one.who) not in accused, one
        assert NEAR[one.kind](logs, one), one


def test_every_kind_of_lookalike_is_in_a_day_of_20000_lines_and_over_the_short_days(simulated: Day) -> None:
    long_day = {x.kind for x in simulated(0, 20_000)[0].lookalikes}
    short_days = {x.kind for seed in range(9) for x in simulated(seed, 2_000)[0].lookalikes}
    assert long_day == short_days == set(NEAR)


@pytest.mark.parametrize(("lines", "least"), [(2_000, 1), (20_000, 2), (250_000, 4)])
def test_there_are_more_violations_of_each_rule_in_longer_days(simulated: Day, lines: int, least: int) -> None:
    truth, _ = simulated(3, lines)
    violations = Counter(e.rule_id for e in truth.expected if e.status == "violation")
    assert set(violations) == {"mass-mail", "new-device", "shared-device", "two-sites", "guessed-password"}
    assert set(violations.values()) == {least}
    assert {e.status for e in truth.expected} == {"violation", "permitted", "informational"}


def test_ordinary_traffic_stays_far_below_every_limit(simulated: Day) -> None:
    truth, logs = simulated(3, 250_000)
    named = {key for e in truth.expected for key in e.group_key.values()} | {x.who for x in truth.lookalikes}
    for sender, rows in logs.mails().items():
        if sender not in named and logs.internal(sender):
            figures = [mail_figures(logs, window(rows, r.at, HOUR)) for r in rows]
            assert all(inside < 50 and outside < 25 and largest < 25 for inside, outside, largest in figures), sender
    for user, tries in by_key((x for x in logs.logins if not x.good), lambda x: x.user).items():
        known = any(x.good for x in logs.logins if x.user == user)
        if user not in named and known:
            assert all(len(window(tries, r.at, FIVE_MINUTES)) <= 4 for r in tries), user


def _hours(logs: Logs, who: str) -> list[tuple[int, int, int]]:
    rows = logs.mails()[who]
    return [mail_figures(logs, window(rows, r.at, HOUR)) for r in rows]


def _lines(logs: Logs, who: str) -> tuple[int, int]:
    mine = [e for e in logs.entries if e.sender == who]
    return sum(e.sent_lines for e in mine), sum(e.delivery_lines for e in mine)


def _sent_to(logs: Logs, who: str) -> int:
    return max(len(e.named) for e in logs.entries if e.sender == who)


def _largest(logs: Logs, who: str) -> int:
    return max(largest for _, _, largest in _hours(logs, who))


def _near_spread(logs: Logs, x: Lookalike) -> bool:
    rows = logs.mails()[x.who]
    in_reach = [mail_figures(logs, window(rows, r.at, HOUR + 1))[0] for r in rows]
    return max(in_reach) >= 100 and max(_hours(logs, x.who))[0] < 100


def _good(logs: Logs, key: Callable[[Login], str], who: str) -> list[Login]:
    return [r for r in logs.logins if r.good and key(r) == who]


def _users(rows: list[Login], length: int) -> int:
    return max(len({r.user for r in window(rows, x.at, length)}) for x in rows)


def _near_shared(logs: Logs, x: Lookalike) -> bool:
    return logs.kinds[x.who] == "shared" and _users(_good(logs, lambda r: r.mac, x.who), HALF_HOUR) >= 3


def _near_third(logs: Logs, x: Lookalike) -> bool:
    rows = _good(logs, lambda r: r.mac, x.who)
    return _users(rows, HALF_HOUR) == 2 and _users(rows, HALF_HOUR + 60) == 3


def _near_churn(logs: Logs, x: Lookalike) -> bool:
    rows = _good(logs, lambda r: r.ip, x.who)
    return _users(rows, HALF_HOUR) == 3 and len({r.mac for r in rows if r.mac}) == 3


def _near_nat(logs: Logs, x: Lookalike) -> bool:
    rows = _good(logs, lambda r: r.ip, x.who)
    return _users(rows, HALF_HOUR) >= 3 and not any(r.mac for r in rows)


def _near_phone(logs: Logs, x: Lookalike) -> bool:
    rows = _good(logs, lambda r: r.user, x.who)
    near = window(rows, rows[-1].at, TEN_MINUTES)
    return len({r.mac for r in near}) == 2 and len({logs.site(r) for r in near}) == 1


def _near_two_sites(logs: Logs, x: Lookalike) -> bool:
    rows = _good(logs, lambda r: r.user, x.who)
    return len({logs.site(r) for r in rows}) == 2 and TEN_MINUTES <= rows[-1].at - rows[0].at <= 900


def _near_elsewhere(logs: Logs, x: Lookalike) -> bool:
    rows = _good(logs, lambda r: r.user, x.who)
    return sorted(bool(logs.site(r)) for r in rows) == [False, True] and rows[-1].at - rows[0].at < TEN_MINUTES


def _tries(logs: Logs, who: str) -> tuple[list[Login], int]:
    rows = [r for r in logs.logins if r.user == who]
    return rows, sum(not r.good for r in rows)


def _near_seven(logs: Logs, x: Lookalike) -> bool:
    rows, failures = _tries(logs, x.who)
    return failures == 7 and rows[-1].good and rows[-1].at - rows[0].at < FIVE_MINUTES


def _near_slow(logs: Logs, x: Lookalike) -> bool:
    rows, failures = _tries(logs, x.who)
    return failures == 8 and guessed(rows) and FIVE_MINUTES <= rows[-1].at - rows[0].at <= 360


def _near_never(logs: Logs, x: Lookalike) -> bool:
    rows, failures = _tries(logs, x.who)
    return failures == len(rows) >= 8 and rows[-1].at - rows[0].at < FIVE_MINUTES


def _near_before(logs: Logs, x: Lookalike) -> bool:
    rows, failures = _tries(logs, x.who)
    return rows[0].good and failures >= 8 and rows[-1].at - rows[0].at < FIVE_MINUTES


def _near_spraying(logs: Logs, x: Lookalike) -> bool:
    (login,) = _good(logs, lambda r: r.user, x.who)
    same = [r for r in window(logs.logins, login.at, FIVE_MINUTES) if r.ip == login.ip and not r.good]
    return len(same) >= 8 and len({r.user for r in same}) == len(same)


def _near_root(logs: Logs, _: Lookalike) -> bool:
    rows = [r for r in logs.logins if r.user == "root"]
    reached = [s for s in logs.cron_sessions if len([r for r in rows if s - FIVE_MINUTES < r.at < s]) >= 8]
    return bool(reached) and not any(r.good for r in rows)


def _near_registered(logs: Logs, x: Lookalike) -> bool:
    first = min(r.at for r in logs.leases if r.mac == x.who)
    arrivals = sorted(r.at for r in logs.leases)
    return x.who in logs.kinds and first > arrivals[0] + 2 * HOUR


NEAR: dict[str, Callable[[Logs, Lookalike], bool]] = {
    "permitted-mailing": lambda logs, x: (
        _largest(logs, x.who) >= 50 and logs.permitted(x.who, 11, logs.mails()[x.who][0].at)
    ),
    "ninety-nine-internal": lambda logs, x: max(_hours(logs, x.who))[0] == 99,
    "forty-nine-outside": lambda logs, x: max(out for _, out, _ in _hours(logs, x.who)) == 49,
    "list-of-49": lambda logs, x: _largest(logs, x.who) == 49,
    "through-filter": lambda logs, x: _lines(logs, x.who)[0] >= 100 and max(_hours(logs, x.who))[0] == 60,
    "retries": lambda logs, x: _lines(logs, x.who)[1] >= 100 and max(_hours(logs, x.who))[0] == 80,
    "spread-over-an-hour": _near_spread,
    "newsletter": lambda logs, x: _largest(logs, x.who) >= 100 and not logs.internal(x.who),
    "deferred-recipients": lambda logs, x: _sent_to(logs, x.who) == 55 and _largest(logs, x.who) == 45,
    "bounced-recipients": lambda logs, x: _sent_to(logs, x.who) == 55 and _largest(logs, x.who) == 47,
    "registered-midday": _near_registered,
    "restarted-printer": lambda logs, x: x.who in logs.kinds and sum(r.mac == x.who for r in logs.leases) >= 6,
    "shared-cart": _near_shared,
    "shared-lab": _near_shared,
    "shared-kiosk": _near_shared,
    "third-too-late": _near_third,
    "lease-churn": _near_churn,
    "behind-nat": _near_nat,
    "phone-and-laptop": _near_phone,
    "two-sites-slowly": _near_two_sites,
    "site-and-elsewhere": _near_elsewhere,
    "seven-failures": _near_seven,
    "eight-failures-slowly": _near_slow,
    "failures-without-login": _near_never,
    "login-before-failures": _near_before,
    "spraying": _near_spraying,
    "attack-on-root": _near_root,
}
