"""Types by name, and the guess of a type from lines."""

from __future__ import annotations

import pytest

from schemas.errors import ConfigError, StateError
from schemas.kinds import EventKind
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.guess import guess
from streams.normalisers.registry import make, types
from tests.normalisers.golden_files import lines_of

KINDS = {
    "freeradius": EventKind.LOGIN,
    "isc_dhcpd": EventKind.DHCP,
    "openssh": EventKind.LOGIN,
    "postfix": EventKind.MAIL,
    "squid": EventKind.PROXY,
}


def test_every_type_makes_a_normaliser_of_its_name_and_kind() -> None:
    assert {name: entry.kind for name, entry in types().items()} == KINDS
    for name, entry in types().items():
        normaliser = make(name, NormaliserSettings())
        assert (normaliser.type_name, normaliser.kind) == (name, entry.kind)
        assert entry.description


def test_an_unknown_type_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no log type 'squib'.*isc_dhcpd, openssh, postfix, squid"):
        make("squib", NormaliserSettings())


@pytest.mark.parametrize("name", ["freeradius", "isc_dhcpd", "openssh", "squid"])
def test_golden_lines_are_guessed_as_what_they_are(name: str) -> None:
    found, confidence = guess(lines_of(name))
    assert found == name
    assert confidence > 0.6


def test_each_form_of_squid_is_guessed_from_one_line() -> None:
    assert {guess([line])[0] for line in lines_of("squid")[:17]} == {"squid"}


@pytest.mark.parametrize(
    "lines", [[], [b""], [b"nothing that we know", b"\xff\x00"], [b"Mar  1 08:00:00 h kernel: up"]]
)
def test_lines_that_say_nothing_are_not_guessed(lines: list[bytes]) -> None:
    assert guess(lines) == ("", 0.0)


@pytest.mark.parametrize("name", ["freeradius", "isc_dhcpd", "openssh"])
@pytest.mark.parametrize("state", [b"", b"[]", b"\xff", b'{"type": "squid"}', b'{"last": [[1]]}', b'{"clock": 5}'])
def test_a_state_of_something_else_is_refused(name: str, state: bytes) -> None:
    with pytest.raises(StateError, match="saved"):
        make(name, NormaliserSettings()).load(state)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_fresh_state_can_be_loaded(name: str) -> None:
    make(name, NormaliserSettings()).load(make(name, NormaliserSettings()).save())
