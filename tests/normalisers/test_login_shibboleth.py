"""What a site can tell of its own Shibboleth audit log."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.errors import ConfigError
from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.registry import make

ENTRY = (
    b"192.0.2.10|2024-03-01T13:30:58Z|2024-03-01T13:31:00Z|asmith|https://sp.example.org/shibboleth|_i|ac|t|attr|n|false|"
    b"%s|||b|bb|||||agent"
)


def row(line: bytes, **options: Any) -> dict[str, Any]:
    out = make("shibboleth", NormaliserSettings(options=options)).normalise(LineChunk([line], [0]))
    return out.events.to_dicts()[0]


def test_a_format_of_ones_own_is_read() -> None:
    found = row(b"2024-03-01T13:30:00Z|asmith|https://sp.example.org|192.0.2.10", audit_format="%T|%u|%SP|%a")
    assert (found["user_name"], found["application_name"], found["source_ip"]) == (
        "asmith", "https://sp.example.org", "192.0.2.10",
    )  # fmt: skip


def test_a_fresh_authentication_is_a_login_only_where_the_site_says_so() -> None:
    assert row(ENTRY % b"false")["event_action"] == "authentication"
    assert row(ENTRY % b"false", audit_logins=True)["event_action"] == "login"
    assert row(ENTRY % b"true", audit_logins=True)["event_action"] == "authentication"


@pytest.mark.parametrize("given", ["", "%SP|%a", 7])
def test_a_format_without_time_or_user_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="%u and %T"):
        make("shibboleth", NormaliserSettings(options={"audit_format": given}))
