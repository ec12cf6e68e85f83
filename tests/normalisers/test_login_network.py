"""Logins to Windows and to the network: conservation, hostile lines, and names that somebody typed to forge a fact."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigError, StateError
from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.login import clearpass
from streams.normalisers.login.segments import MAX_CHARACTERS, MAX_OPEN, WAIT_LINES
from streams.normalisers.login.windows_events import _exact, _fast
from streams.normalisers.registry import make
from tests.normalisers.damaging import damaged_lines
from tests.normalisers.golden_files import SETTINGS, in_chunks

TYPES = [
    "anyconnect", "cisco_ise", "clearpass", "freeradius_detail", "freeradius_linelog", "globalprotect", "nps",
    "openvpn", "windows_security",
]  # fmt: skip
TYPED = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f\x85\xa0"), max_size=40)


def rows(type_name: str, *lines: str, **options: Any) -> list[dict[str, Any]]:
    """Events of lines, one after the other."""
    normaliser = make(type_name, NormaliserSettings(timezone=SETTINGS.timezone, year=2024, options=options))
    out = normaliser.normalise(LineChunk([line.encode() for line in lines], list(range(len(lines)))))
    return out.events.to_dicts()


@pytest.mark.parametrize("type_name", TYPES)
@given(data=st.data())
def test_every_damaged_line_is_exactly_one_of_event_ignored_and_reject(type_name: str, data: st.DataObject) -> None:
    lines = data.draw(damaged_lines(type_name))
    out = make(type_name, SETTINGS).normalise(LineChunk(lines, list(range(len(lines)))))
    decided = [*{*out.events["line"].to_list()}, *(i for i, _ in out.ignored), *(r.line for r in out.rejects)]
    assert sorted(decided) == list(range(len(lines)))


@pytest.mark.parametrize("type_name", TYPES)
@given(data=st.data())
def test_damaged_lines_give_the_same_however_they_are_chunked(type_name: str, data: st.DataObject) -> None:
    lines = data.draw(damaged_lines(type_name))
    size = data.draw(st.integers(1, len(lines)))
    assert in_chunks(make(type_name, SETTINGS), lines, size) == in_chunks(make(type_name, SETTINGS), lines, len(lines))


@pytest.mark.parametrize(
    ("type_name", "state"),
    [
        ("cisco_ise", b'{"open": 5}'),
        ("cisco_ise", b'{"open": [["a", {"pieces": 5}]]}'),
        ("freeradius_detail", b'{"open": 5}'),
        ("freeradius_detail", b'{"open": [[1]]}'),
        ("nps", b'{"asked": 5}'),
        ("openvpn", b'{"peers": [["a", 1]]}'),
        ("windows_security", b'{"clock": 5}'),
    ],
)
def test_a_saved_state_of_another_form_is_refused(type_name: str, state: bytes) -> None:
    with pytest.raises(StateError, match="saved state"):
        make(type_name, SETTINGS).load(state)


# --- hostile lines ----------------------------------------------------------------------------------------------------

XML = (
    '<Event xmlns="x"><System><Provider Name="Microsoft-Windows-Security-Auditing"/><EventID>4625</EventID>'
    '<TimeCreated SystemTime="2024-03-01T13:30:00Z"/><Computer>c</Computer></System><EventData>'
)
TEXT = "<13>Mar  1 08:45:00 h Microsoft-Windows-Security-Auditing: An account failed to log on. "
ODBC = '"NPS1","IAS",03/01/2024,09:31:05,1,'
ISE = (
    "Mar  1 08:30:00 ise1 CISE_Passed_Authentications 0000000001 1 0 2024-03-01 08:30:00.123 -05:00 0000 5200 NOTICE "
    "Passed-Authentication: ok, "
)
ASA = "Mar 01 2024 08:30:00 asa1 : %ASA-6-"
GP = "1,2024/03/01 08:30:00,1,GLOBALPROTECT,0,2561,2024/03/01 08:30:00,v,gateway-auth,"
OVPN = "Fri Mar  1 08:30:00 2024 "
UNITS = [
    ("windows_security", XML, '<Data Name="A">', ""),
    ("windows_security", XML, '<Data Name="A">x</Data>', "</EventData></Event>"),
    ("windows_security", "", "<Event ", "EventID>"),
    ("windows_security", "<Event><System>", "<Provider ", "<EventID>1</EventID></System></Event>"),
    ("windows_security", "<Event><System>", "<TimeCreated ", "<EventID>1</EventID></System></Event>"),
    ("windows_security", "<Event><System>", "<EventID ", "<EventID>1</EventID></System></Event>"),
    ("windows_security", TEXT, "Account Name: ", ""),
    ("windows_security", TEXT, "   ", "x"),
    ("windows_security", TEXT, "This event is generated ", ""),
    ("windows_security", "", "MSWinEventLog\t1\t", ""),
    ("windows_security", "A ", "a ", ""),
    ("windows_security", "", '{"event":', ""),
    ("nps", ODBC, '"', ""),
    ("nps", ODBC, '",', ""),
    ("nps", "10.1.1.1,", ",03/01/2024", ""),
    ("nps", "<Event>", '<A data_type="1">x</B>', ""),
    ("cisco_ise", "", "a CISE_A 1 ", ""),
    ("cisco_ise", ISE, "a b ", ""),
    ("cisco_ise", ISE, "a=\\", ""),
    ("cisco_ise", ISE, "Tunnel-Private-Group-ID=(tag=1) ", ""),
    ("clearpass", "<134> h ", "a 1 1 ", ""),
    ("clearpass", "<134> h N 1 1 0 ", ",a.b=", ""),
    ("clearpass", "<134> h N 1 1 0 Common.A=", ",Common.Login-Status=ACCEPT", ""),
    ("clearpass", "<134> h CEF:0|Aruba Networks|ClearPass|1|1|a|1|", "a=b ", ""),
    ("anyconnect", ASA + "716038: Group <a> User <", "> IP <1", ""),
    ("anyconnect", ASA + "113005: AAA user authentication Rejected : reason = ", " : user = x : user IP = 1", ""),
    ("anyconnect", ASA + "113019: ", "Group = a, Username = b, IP = 1.1.1.1, ", ""),
    ("anyconnect", "", "Mar 01 2024 08:30:00 ", "%ASA-6-716001: Group <a> User <b> IP <1.1.1.1> x"),
    ("anyconnect", "Mar 01 2024 08:30:00", ": ", "x %ASA-6-716001: Group <a> User <b> IP <1.1.1.1> x"),
    ("globalprotect", "", "1,2024,3,", ""),
    ("globalprotect", GP, '"', ""),
    ("globalprotect", "1,2024/03/01 08:31:00,0,SYSTEM,globalprotect,0,x,,y,G,0,0,g,i,", "User name: ", ""),
    ("freeradius_detail", "\t", "a = ", ""),
    ("freeradius_detail", "Fri Mar  1 08:30:00 2024", " ", "x"),
    ("freeradius_linelog", "2024-03-01 08:30:00 Access-Accept user=", "user= cli= nas=", ""),
    ("freeradius_linelog", "F-TICKS/", "#A=b", ""),
    ("openvpn", OVPN, "a/1.1.1.1:1 ", ""),
    ("openvpn", OVPN, "1:", ""),
    ("openvpn", OVPN, "user '", ""),
    ("openvpn", OVPN + "1.1.1.1:1 VERIFY ERROR: depth=0, error=a: ", "CN=", ""),
    ("openvpn", "2024-03-01T08:33:00-0500 [a#b] AUTH FAILED ", "'user': '", ""),
]


@pytest.mark.parametrize(("type_name", "head", "unit", "tail"), UNITS, ids=[f"{u[0]}-{i}" for i, u in enumerate(UNITS)])
def test_a_hostile_line_takes_no_longer_than_its_length_warrants(
    type_name: str, head: str, unit: str, tail: str
) -> None:
    """60 KB of what the patterns repeat over. Linear: milliseconds."""
    line = (head + unit * (60_000 // len(unit)) + tail).encode()
    started = time.process_time()
    out = make(type_name, SETTINGS).normalise(LineChunk([line], [0]))
    assert time.process_time() - started < 1
    assert out.events.height + len(out.ignored) + len(out.rejects) >= 1


# --- Windows ----------------------------------------------------------------------------------------------------------


def event(number: int, **data: str) -> str:
    said = "".join(f'<Data Name="{name}">{value}</Data>' for name, value in data.items())
    return XML.replace("4625", str(number)) + said + "</EventData></Event>"


@given(st.dictionaries(st.sampled_from(["TargetUserName", "IpAddress", "Status", "X"]), TYPED, max_size=4))
def test_the_fast_reading_of_an_event_equals_the_parsers(data: dict[str, str]) -> None:
    escaped = {
        name: value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for name, value in data.items()
    }
    text = event(4625, **escaped)
    assert _fast(text) == _exact(text)


@given(name=TYPED)
def test_a_typed_name_in_xml_changes_nothing_behind_it(name: str) -> None:
    escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = event(4625, TargetUserName=escaped, Status="0xc000006d", SubStatus="0xc000006a", IpAddress="198.51.100.7")
    (row,) = rows("windows_security", text)
    assert (row["event_outcome"], row["event_reason"], row["source_ip"]) == (
        "failure",
        "wrong password",
        "198.51.100.7",
    )


FAILED = """An account failed to log on.

Subject:
\tSecurity ID:\t\tNULL SID
\tAccount Name:\t\t-
\tAccount Domain:\t\t-
\tLogon ID:\t\t0x0

Logon Type:\t\t\t3

Account For Which Logon Failed:
\tSecurity ID:\t\tNULL SID
\tAccount Name:\t\tJane Doe
\tAccount Domain:\t\tEXAMPLE

Failure Information:
\tFailure Reason:\t\tUnknown user name or bad password.
\tStatus:\t\t\t0xC000006D
\tSub Status:\t\t0xC000006A

Network Information:
\tWorkstation Name:\tKIOSK-2
\tSource Network Address:\t198.51.100.20
\tSource Port:\t\t50123

This event is generated when a logon request fails."""


@pytest.mark.parametrize(
    "record",
    [
        "Mar  1 08:45:00 pc Security-Auditing: " + FAILED,
        "03/01/2024 08:45:00 AM\nLogName=Security\nEventCode=4625\n" + FAILED,
        "Mar  1 08:45:00 pc Security-Auditing: " + FAILED.replace("\n", "#015#012").replace("\t", "#011"),
        "Mar  1 08:45:00 pc Security-Auditing: " + FAILED.replace("\n", "   ").replace("\t", " "),
    ],
    ids=["lines", "splunk", "escaped", "flat"],
)
def test_a_text_of_several_lines_is_one_record(record: str) -> None:
    (row,) = rows("windows_security", record)
    said = {name: row[name] for name in ("event_action", "event_outcome", "user_name", "user_domain", "source_ip")}
    assert said == {
        "event_action": "login", "event_outcome": "failure", "user_name": "Jane Doe", "user_domain": "EXAMPLE",
        "source_ip": "198.51.100.20",
    }  # fmt: skip
    assert (row["source_port"], row["host_name"], row["login_type"]) == (50123, "KIOSK-2", "network")
    assert str(row["timestamp"]) == "2024-03-01 13:45:00+00:00"


def test_one_attempt_seen_by_the_host_and_its_controller_is_one_login_whichever_verdict_counts() -> None:
    both = [
        event(4776, TargetUserName="jdoe", Workstation="PC", Status="0xc000006a"),
        event(4625, TargetUserName="jdoe", Status="0xc000006d", SubStatus="0xc000006a", LogonType="3"),
    ]
    for verdicts in ("hosts", "domain"):
        actions = [row["event_action"] for row in rows("windows_security", *both, verdicts=verdicts)]
        assert sorted(actions) == ["authentication", "login"]


# --- messages in pieces -----------------------------------------------------------------------------------------------


def piece(number: int, total: int, part: int, text: str) -> str:
    return f"Mar  1 08:30:00 ise1 CISE_Failed_Attempts {number:010d} {total} {part} {text}"


FIRST = "2024-03-01 08:30:00.123 -05:00 0001 5400 NOTICE Failed-Attempt: Authentication failed, UserName=jdoe,"


def test_a_message_of_which_a_piece_never_comes_is_told_from_the_others() -> None:
    lines = [piece(1, 3, 0, FIRST), piece(1, 3, 2, " EndPointMACAddress=02-00-5E-10-00-01,")]
    rest = [piece(number, 1, 0, "x") for number in range(2, WAIT_LINES + 3)]
    assert rows("cisco_ise", *lines) == []
    assert rows("cisco_ise", *lines, *rest) == []  # a dead letter is no place for an event
    (row,) = rows("cisco_ise", *lines, *rest, piece(1, 3, 1, "too late,"))
    assert (row["user_name"], row["source_mac"], row["event_outcome"]) == ("jdoe", "02:00:5e:10:00:01", "failure")


def test_open_messages_are_bounded_in_number_and_in_length() -> None:
    assert len(rows("cisco_ise", *(piece(number, 2, 0, FIRST) for number in range(MAX_OPEN + 5)))) == 5
    long = [piece(1, 60, part, FIRST + "x" * 60_000) for part in range(MAX_CHARACTERS // 60_000 + 1)]
    out = make("cisco_ise", SETTINGS).normalise(LineChunk([line.encode() for line in long], list(range(len(long)))))
    assert [reject.reason for reject in out.rejects] == ["line_too_long"]


# --- names that somebody typed ----------------------------------------------------------------------------------------


@given(name=TYPED.filter(lambda text: text.strip() == text and text != ""))
def test_a_typed_name_forges_neither_address_nor_outcome_of_a_vpn_login(name: str) -> None:
    line = f"{ASA}716039: Group <Staff> User <{name}> IP <198.51.100.7> Authentication: rejected, Session Type: WebVPN."
    (row,) = rows("anyconnect", line)
    assert (row["event_action"], row["event_outcome"], row["source_ip"]) == ("login", "failure", "198.51.100.7")


def test_a_typed_name_forges_no_status_in_a_clearpass_record() -> None:
    head = "<134>2024-03-01 08:30:01,823 10.9.0.20 Sessions 101 1 0 Common.Login-Status=REJECT,Common.Username="
    assert rows("clearpass", head + "x,Common.Login-Status=ACCEPT") == []
    (row,) = rows("clearpass", head + "x,Common.Host-MAC-Address=02005e999999")
    assert row["event_outcome"] == "failure"


def test_a_password_in_a_detail_file_is_nowhere() -> None:
    record = ["Fri Mar  1 08:30:00 2024", "\tPacket-Type = Access-Request", '\tUser-Password = "swordfish"', ""]
    out = make("freeradius_detail", SETTINGS).normalise(LineChunk([x.encode() for x in record], [0, 1, 2, 3]))
    assert out.events.height == 1
    assert "swordfish" not in json.dumps(out.events.to_dicts(), default=str)


@pytest.mark.parametrize(
    ("type_name", "options"),
    [
        ("windows_security", {"verdicts": "both"}),
        ("anyconnect", {"verdicts": "x"}),
        ("freeradius_linelog", {"formats": ["%S says nothing of %{Calling-Station-Id}"]}),
        ("freeradius_linelog", {"formats": "%{User-Name} does something"}),
        ("freeradius_linelog", {"formats": 5}),
    ],
)
def test_an_option_that_means_nothing_is_refused_by_its_name(type_name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"options\.(?:verdicts|formats)"):
        make(type_name, NormaliserSettings(options=options))


def test_an_answer_of_nps_has_the_device_of_its_request() -> None:
    of = '"NPS1","IAS",03/01/2024,08:30:0'
    asked = f'{of}0,1,"jdoe",,"02-00-5E-AA-00-01:Staff","02-00-5E-10-00-01",,,,,,,,,,,,,,,,,,"311 1 a"'
    answer = f'{of}1,2,,"EXAMPLE\\jdoe",,,,,,,,,,,,,,,,,,,,"311 1 a"'
    step, login = rows("nps", asked, answer)
    assert (step["event_action"], login["event_action"]) == ("login_step", "login")
    for name in ("source_mac", "access_point", "network_ssid"):
        assert login[name] == step[name] is not None


@given(st.lists(st.sampled_from([
    "Common.Username=", "Common.Service=", "RADIUS.VLAN=", "login_status=", "Other.Key=", "a b", ",", " ", ", ", "=",
    "x", ",Common.Username=", ",Common.Roles =", ",Foo.Bar=", ",\n", ",\u00a0Common.A=",
])))  # fmt: skip
def test_pairs_of_clearpass_are_the_same_read_at_once_or_one_by_one(parts: list[str]) -> None:
    text = "".join(parts)
    assert clearpass._pairs(text) == clearpass._pairs_one_by_one(text)
