"""Types by name, and the guess of a type from lines."""

from __future__ import annotations

import pytest

from schemas.errors import ConfigError, StateError
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.columns import event_columns
from streams.normalisers.guess import guess
from streams.normalisers.registry import claims_of, fields_of, make, types
from tests.normalisers.golden_files import expected_of, lines_of

FIRST = ["freeradius", "isc_dhcpd", "openssh", "squid"]


@pytest.mark.parametrize("name", types())
def test_every_type_makes_a_normaliser_of_its_name_and_kind(name: str) -> None:
    normaliser, entry = make(name, NormaliserSettings()), types()[name]
    assert (normaliser.type_name, normaliser.kind) == (name, entry.kind)
    assert entry.description
    assert set(fields_of(name)) <= set(event_columns(entry.kind))
    assert len(fields_of(name)) == len(set(fields_of(name)))
    assert {"timestamp", "event_dataset", "event_action", "event_outcome"} <= set(fields_of(name))


@pytest.mark.parametrize("name", [name for name in types() if name != "postfix"])
def test_claims_take_no_line_that_another_type_makes_an_event_of(name: str) -> None:
    made = {fate["line"] for fate in expected_of(name) if "event_action" in fate}
    own = [line for number, line in enumerate(lines_of(name)) if number in made]
    for other in types():
        assert not [line for line in own if other != name and claims_of(other)(line)], other


@pytest.mark.parametrize(
    ("name", "program", "message"),
    [
        ("amavis", "amavis", "(00001-01) Passed CLEAN"),
        ("dovecot", "dovecot", "auth: pam(bob,192.0.2.1): unknown user"),
        ("exim", "exim", "1tqABC-0001Ab-2C Completed"),
        ("freeradius", "radiusd", "(15) Login OK: [bob] (from client ap1 port 0)"),
        ("infoblox", "dhcpd", "r-l-e:192.0.2.9,Issued,,02:00:5e:00:53:01,1,2,1,$"),
        ("openldap", "slapd", "conn=1 op=0 UNBIND"),
        ("openssh", "sshd", "Connection closed by 192.0.2.1 port 5"),
        ("postfix", "postfix/qmgr", "3C5F6A1B2C: removed"),
        ("postfix", "postfix/submission/smtpd", "connect from unknown[192.0.2.1]"),
        ("proftpd", "proftpd", "host - session opened"),
        ("pure_ftpd", "pure-ftpd", "(?@192.0.2.1) [INFO] New connection"),
        ("sendmail", "sm-mta", "526FGE12000100: to=<a@district.example>, stat=Sent"),
        ("vsftpd", "vsftpd", "[bob] OK LOGIN"),
    ],
)
def test_a_program_is_known_in_rfc_3164_and_in_rfc_5424(name: str, program: str, message: str) -> None:
    """A listener without `programs` sorts by this, and rsyslog's protocol 23 template writes RFC 5424."""
    old = f"<22>Mar  1 08:00:00 host {program}[12]: {message}"
    new = f"<22>1 2026-03-01T08:00:00Z host {program} 12 - - {message}"
    for line in (old, new):
        assert [other for other in types() if claims_of(other)(line.encode())] == [name], line


def test_an_unknown_type_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no log type 'squib'.*normalise --list"):
        make("squib", NormaliserSettings())


@pytest.mark.parametrize("name", [name for name in types() if name != "postfix"])
def test_golden_lines_are_guessed_as_what_they_are(name: str) -> None:
    """The lines that are events: the others are there to be refused or ignored."""
    made = {fate["line"] for fate in expected_of(name) if "event_action" in fate or "ignored" in fate}
    found = guess([line for number, line in enumerate(lines_of(name)) if number in made])
    assert found.type_name == name, found
    assert found.share > 0.5


def test_each_form_of_squid_is_guessed_from_one_line() -> None:
    assert {guess([line])[0] for line in lines_of("squid")[:17]} == {"squid"}


@pytest.mark.parametrize(
    "lines", [[], [b""], [b"nothing that we know", b"\xff\x00"], [b"Mar  1 08:00:00 h kernel: up"]]
)
def test_lines_that_say_nothing_are_not_guessed(lines: list[bytes]) -> None:
    assert guess(lines)[:2] == ("", 0.0)


@pytest.mark.parametrize("name", ["freeradius", "isc_dhcpd", "openssh"])
@pytest.mark.parametrize("state", [b"", b"[]", b"\xff", b'{"type": "squid"}', b'{"last": [[1]]}', b'{"clock": 5}'])
def test_a_state_of_something_else_is_refused(name: str, state: bytes) -> None:
    with pytest.raises(StateError, match="saved"):
        make(name, NormaliserSettings()).load(state)


@pytest.mark.parametrize("name", types())
def test_a_fresh_state_can_be_loaded(name: str) -> None:
    make(name, NormaliserSettings()).load(make(name, NormaliserSettings()).save())
