"""Who had an address when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from agents.context.district import District
from agents.context.roster import Roster
from agents.engine.identity import LEFT, SESSION_US, SEVERAL, SHARING_US, FactIndex, facts_of
from agents.rules.examples import frame_of
from schemas.kinds import EventKind

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
IP, MAC, OTHER = "10.1.0.5", "3c:52:82:00:00:01", "3c:52:82:00:00:02"


def holder_after(action: str, reason: str | None) -> str | None:
    stamps = {"late": False, "time_suspect": False, "log_source": "dhcp"}
    shared = {"source_ip": IP, "source_mac": MAC, **stamps}
    ack = {**shared, "timestamp": START, "event_id": "a" * 32, "event_action": "ack"}
    end = {"timestamp": START + timedelta(minutes=5), "event_id": "b" * 32, "event_action": action}
    index = FactIndex()
    index.add(facts_of(frame_of(EventKind.DHCP, [ack, {**shared, **end, "event_reason": reason}]), EventKind.DHCP))
    return index.mac_of(IP, int((START + timedelta(minutes=6)).timestamp() * 1_000_000))[0]


def test_a_lease_that_is_given_back_ends() -> None:
    assert holder_after("request", None) == MAC
    assert holder_after("release", "(found)") is None
    assert holder_after("release", None) is None
    assert holder_after("decline", "abandoned") is None


def test_what_is_given_back_by_one_who_has_it_not_changes_nothing() -> None:
    assert holder_after("release", "(not found)") == MAC
    assert holder_after("decline", "not found") == MAC


def held_at(hours: float, **renewal: object) -> str | None:
    """Who has the address some hours after a grant of one hour that was renewed half an hour later."""
    stamps = {"late": False, "time_suspect": False, "log_source": "dhcp", "source_ip": IP, "source_mac": MAC}
    grant = {"timestamp": START, "event_id": "a" * 32, "event_action": "ack", "dhcp_lease_seconds": 3_600}
    again = {"timestamp": START + timedelta(minutes=30), "event_id": "b" * 32, "event_action": "renew", **renewal}
    index = FactIndex()
    index.add(facts_of(frame_of(EventKind.DHCP, [{**stamps, **grant}, {**stamps, **again}]), EventKind.DHCP))
    return index.mac_of(IP, int((START + timedelta(hours=hours)).timestamp() * 1_000_000))[0]


def test_a_renewal_goes_on_with_the_lease() -> None:
    assert held_at(1.4, dhcp_lease_seconds=3_600) == MAC
    assert held_at(1.6, dhcp_lease_seconds=3_600) is None


def test_a_lease_ends_when_the_server_says_so() -> None:
    assert held_at(2.9, dhcp_lease_expires=START + timedelta(hours=3)) == MAC
    assert held_at(3.0, dhcp_lease_expires=START + timedelta(hours=3)) is None
    assert held_at(20) == MAC


def _session(minutes: float, user: str, action: str = "login", **more: Any) -> dict[str, object]:
    plain: dict[str, object] = {
        "timestamp": START + timedelta(minutes=minutes),
        "event_id": f"{int(minutes * 60):032x}", "event_action": action,
        "event_outcome": "success", "event_dataset": "freeradius", "user_name": user, "source_mac": MAC,
        "late": False, "time_suspect": False, "log_source": "radius",
    }  # fmt: skip
    return plain | more


def _index(*logins: dict[str, object], settled: bool = False) -> FactIndex:
    index = FactIndex()
    for one in logins:  # in any order: the answer depends on the set of facts alone
        index.add(facts_of(frame_of(EventKind.LOGIN, [one]), EventKind.LOGIN, settled=settled))
    return index


def _there(minutes: float, *logins: dict[str, object]) -> str | None:
    t = int((START + timedelta(minutes=minutes)).timestamp() * 1_000_000)
    answers = {_index(*some).person_of(MAC, IP, t)[0] for some in permutations(logins)}
    assert len(answers) == 1, answers
    return answers.pop()


def test_a_session_lasts_from_the_login_to_the_logout_or_twelve_hours() -> None:
    anna = _session(0, "anna")
    assert [_there(m, anna) for m in (-1, 0, 719, 720)] == [None, "anna", "anna", None]
    left = [_there(m, anna, _session(60, "anna", "logout")) for m in (59, 60, 89, 90)]
    assert left == ["anna", LEFT + "anna", LEFT + "anna", None]
    assert _there(100, anna, _session(60, "anna", "logout"), _session(90, "anna")) == "anna"


def test_the_next_login_ends_a_session_and_two_people_within_half_an_hour_are_nobody() -> None:
    both = (_session(0, "anna"), _session(60, "ben"))
    assert [_there(m, *both) for m in (59, 61, 89)] == ["anna", "ben", "ben"]
    near = (_session(0, "anna"), _session(20, "ben"))
    assert [_there(m, *near) for m in (19, 21, 29, 31)] == ["anna", SEVERAL, SEVERAL, "ben"]


def test_the_logout_of_one_does_not_end_the_session_of_another() -> None:
    sessions = (_session(0, "anna"), _session(60, "ben"), _session(61, "anna", "session_end"))
    assert [_there(m, *sessions) for m in (62, 100)] == [SEVERAL, "ben"]


def test_a_failed_login_and_one_to_a_host_say_nothing() -> None:
    assert _there(1, _session(0, "anna", event_outcome="failure")) is None
    assert _there(1, _session(0, "anna", event_dataset="openssh")) is None


def test_a_session_by_address_counts_and_one_that_contradicts_the_device_names_nobody() -> None:
    vpn: dict[str, Any] = {"event_dataset": "anyconnect", "source_mac": None, "assigned_ip": IP}
    assert _there(1, _session(0, "Anna", **vpn)) == "Anna"
    assert _there(61, _session(0, "anna", **vpn), _session(1, "anna")) == "anna"
    assert _there(61, _session(0, "anna", **vpn), _session(1, "ben")) == SEVERAL


def test_two_who_came_and_went_within_half_an_hour_are_several_too() -> None:
    both = (_session(0, "ben"), _session(5, "ben", "logout"), _session(10, "cleo"), _session(12, "cleo", "logout"))
    assert [_there(m, *both) for m in (6, 13, 43)] == [LEFT + "ben", SEVERAL, None]


def test_a_computer_that_logs_in_by_itself_is_nobody_and_whoever_was_there_has_left() -> None:
    """802.1X of Windows: the computer when nobody is logged on, the user from the logon to the logoff."""
    start = _session(0, "host/lt1.school.example")
    assert [_there(m, start, _session(5, "anna")) for m in (1, 6, 36)] == [None, "anna", "anna"]
    assert _there(11, start, _session(5, "anna"), _session(6, "host/lt1.school.example", "session_end")) == "anna"
    for name in ("host/lt1.school.example", "SCHOOL\\LT1$", "lt1$@school.example"):
        there = [_there(m, _session(5, "anna"), _session(60, name)) for m in (59, 61, 89, 90)]
        assert there == ["anna", LEFT + "anna", LEFT + "anna", None]
        assert _there(66, _session(5, "anna"), _session(60, name), _session(65, "ben")) == "ben"


def test_a_device_that_gives_its_address_and_an_outer_name_are_nobody_and_end_nothing() -> None:
    anna = _session(0, "anna")
    names = (
        "3c-52-82-00-00-01",
        "3c5282000001",
        "3C52.8200.0002",
        "anonymous",
        "anonymous@school.example",
        "@school.example",
        "anon@school.example",
        "eduroam@school.example",
    )
    for name in names:
        assert _there(6, _session(5, name)) is None
        assert _there(6, anna, _session(5, name)) == "anna", name
    assert _there(6, _session(5, "202600001234")) == "202600001234", "a number of twelve digits may be somebody's"
    assert _there(6, _session(5, "202600001234", source_mac="20:26:00:00:12:34")) is None


def test_names_of_one_account_are_one_person() -> None:
    roster = Roster.parse("account,roles,mail\njsmith,teacher,john.smith@school.example\n", "r.csv")
    spelled = District.of("d", "UTC", ["school.example"]).knowing(roster).account_of_login
    names = ("jsmith", "SCHOOL\\JSmith", "jsmith@school.example", "John.Smith@school.example")
    index = _index(*(_session(n, name) for n, name in enumerate(names)), _session(9, "ann"))
    t = int((START + timedelta(minutes=8)).timestamp() * 1_000_000)
    assert index.person_of(MAC, None, t, spelled)[0] == names[-1]
    assert index.person_of(MAC, None, t + 120_000_000, spelled)[0] == SEVERAL


def _at_lease(minutes: float, *leases: tuple[float, str, str], mac: str | None = MAC) -> list[str | None]:
    """Who is behind the address that a session got at nine: by lease, and where its device is known to be another."""
    rows = [
        {
            "timestamp": START + timedelta(minutes=at), "event_id": f"{'d' * 16}{n:016x}", "event_action": action,
            "source_ip": IP, "source_mac": held, "late": False, "time_suspect": False, "log_source": "dhcp",
            "dhcp_lease_seconds": 3_600 if action == "ack" else None,
        }
        for n, (at, action, held) in enumerate(leases)
    ]  # fmt: skip
    index = _index(_session(0, "anna", source_mac=mac, assigned_ip=IP))
    index.add(facts_of(frame_of(EventKind.DHCP, rows), EventKind.DHCP))
    t = int((START + timedelta(minutes=minutes)).timestamp() * 1_000_000)
    return [index.person_of(held, IP, t)[0] for held in (index.mac_of(IP, t)[0], OTHER)]


def test_a_session_by_address_ends_when_another_device_has_the_address() -> None:
    assert _at_lease(125) == ["anna", None], "no lease is known"
    assert _at_lease(125, (120, "ack", OTHER)) == [None, None]
    assert _at_lease(125, (-5, "ack", MAC), (120, "ack", OTHER)) == [None, None]
    assert _at_lease(190, (-5, "ack", MAC), (120, "ack", OTHER)) == [None, None], (
        "a lease that has run out was another's"
    )
    assert _at_lease(125, (-5, "ack", MAC), (120, "ack", MAC)) == ["anna", None]
    assert _at_lease(125, (1, "ack", MAC)) == ["anna", None], "a lease that ran out, and nobody has the address since"
    assert _at_lease(125, (-5, "ack", OTHER)) == [None, None]
    assert _at_lease(125, (-125, "ack", OTHER)) == ["anna", None], "another's lease had run out before"
    assert _at_lease(125, (-5, "ack", MAC), (100, "release", MAC)) == [None, None]


def test_a_session_that_names_no_device_is_that_of_who_had_the_address_when_it_began() -> None:
    assert _at_lease(125, mac=None) == ["anna", "anna"]
    assert _at_lease(125, (-5, "ack", MAC), (120, "ack", MAC), mac=None) == ["anna", None]
    assert _at_lease(125, (-5, "ack", MAC), (120, "ack", OTHER), mac=None) == [None, None]
    assert _at_lease(125, (120, "ack", OTHER), mac=None) == [None, None]


def test_leases_speak_against_an_address_of_a_devices_own() -> None:
    def disputed(minutes: float, *leases: tuple[float, str, str, str]) -> bool:
        stamps = {"late": False, "time_suspect": False, "log_source": "x", "source_ip": IP, "dhcp_lease_seconds": 3_600}
        rows = [
            {**stamps, "timestamp": START + timedelta(minutes=at), "event_action": action, "source_mac": held}
            | {"event_id": f"{log * 16}{n:016x}"}
            for n, (at, action, held, log) in enumerate(leases)
        ]
        index = FactIndex()
        index.add(facts_of(frame_of(EventKind.DHCP, rows), EventKind.DHCP))
        return index.disputed(IP, MAC, int((START + timedelta(minutes=minutes)).timestamp() * 1_000_000))

    assert not disputed(5)
    assert not disputed(5, (0, "ack", MAC, "a"))
    assert not disputed(90, (0, "ack", MAC, "a")), "its own lease has run out"
    assert [disputed(m, (0, "ack", OTHER, "a")) for m in (90, 60 + 719, 60 + 720)] == [True, True, False]
    assert disputed(5, (0, "ack", MAC, "a"), (0, "ack", OTHER, "b"))
    assert disputed(5, (0, "ack", OTHER, "a"), (0, "ack", MAC, "b"))
    assert [disputed(m, (0, "ack", OTHER, "a"), (4, "release", OTHER, "a")) for m in (5, 4 + 720)] == [True, False]


def test_who_comes_from_another_school_is_not_who_has_that_account_here() -> None:
    assert _there(1, _session(0, "anna", user_domain="other.example")) == "anna@other.example"


def test_a_late_login_is_believed_when_all_is_settled() -> None:
    t = int((START + timedelta(minutes=5)).timestamp() * 1_000_000)
    late = _session(0, "anna", late=True)
    assert [_index(late, settled=s).person_of(MAC, None, t)[0] for s in (False, True)] == [None, "anna"]


_UNIT = SHARING_US // 2
_facts = st.lists(
    st.tuples(
        st.sampled_from(["ip_mac", "mac_user", "ip_user"]),
        st.integers(0, 60),  # start
        st.one_of(st.none(), st.integers(0, 40)),  # length
        st.sampled_from(["", "a", "anna", "ben"]),
        st.integers(0, 1),  # log
        st.integers(0, 5),  # number: facts of one line have it in common
    ),
    max_size=30,
)


_Fact = tuple[str, int, int | None, str, int, int]


def _filled(facts: list[_Fact]) -> FactIndex:
    rows = [
        {
            "kind": kind, "address": "a", "valid_from": start * _UNIT,
            "valid_to": None if length is None else (start + length) * _UNIT,
            "event_id": f"{log:016x}{start:08x}{line:08x}", "value": value, "fact_id": f"f{n}",
        }
        for n, (kind, start, length, value, log, line) in enumerate(facts)
    ]  # fmt: skip
    times = [pl.col("valid_from", "valid_to").cast(pl.Datetime("us", "UTC"))]
    text = dict.fromkeys(("kind", "address", "event_id", "value", "fact_id"), pl.String())
    index = FactIndex()
    index.add(pl.DataFrame(rows, schema={**text, "valid_from": pl.Int64(), "valid_to": pl.Int64()}).with_columns(times))
    return index


@given(_facts, st.integers(-5, 80), st.lists(st.integers(0, 90), max_size=8))
def test_what_is_forgotten_changes_no_answer_from_that_time_on_nor_before_the_first_that_went(
    facts: list[_Fact], before: int, asked: list[int]
) -> None:
    whole, less = _filled(facts), _filled(facts)
    less.forget_before(before * _UNIT)
    assert less.count == sum(map(len, less._facts.values()))
    for t in [before, *(before + n for n in asked), before + SESSION_US // _UNIT]:
        at = t * _UNIT
        assert less.mac_of("a", at) == whole.mac_of("a", at)
        assert less.person_of("a", "a", at) == whole.person_of("a", "a", at)
        assert less.person_of(None, "a", at) == whole.person_of(None, "a", at)
        assert less.disputed("a", "ben", at) == whole.disputed("a", "ben", at)
    early = less.dropped_from - 1
    if facts and early < 60 * _UNIT:
        assert less.mac_of("a", early) == whole.mac_of("a", early)
        assert less.person_of("a", "a", early) == whole.person_of("a", "a", early)
