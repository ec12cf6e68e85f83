"""Every line of the public samples of our formats, and every field that a peer states of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from streams.normalisers.abstract import Normaliser, NormaliserSettings
from streams.normalisers.reasons import Ignored
from streams.normalisers.registry import make
from streams.normalisers.syslog import split
from tests.normalisers.peers import HERE, SAMPLES, Case, cases, load_disagreements, load_keys, one_line, tally

FORMATS = {"squid": "squid", "isc_dhcpd": "isc_dhcpd", "sshd_pam": "openssh"}
REJECTS: dict[str, dict[str, str]] = {"squid": {}, "isc_dhcpd": {}, "sshd_pam": {}}
"""Cases that must become dead letters, by id, with the reason. There are none: every line can be read."""

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples in {SAMPLES}")


def fresh(type_name: str) -> Callable[[], Normaliser]:
    return lambda: make(type_name, NormaliserSettings(first_seen=date(2024, 12, 31)))


def with_header(case: Case) -> str:
    """The case's line; a fragment without a syslog header is given one, of the program that the sample is of."""
    if case.id.startswith("squid/") or split(case.raw) is not None:
        return case.raw
    program = "dhcpd" if case.id.startswith("isc_dhcpd/") else "dropbear" if "dropbear" in case.path else "sshd"
    return f"Jan  1 00:00:00 host {program}[1]: {case.raw}"


@pytest.mark.parametrize("sample_format", FORMATS)
def test_every_line_becomes_an_event_or_is_ignored_for_a_named_reason(sample_format: str) -> None:
    for case in cases(sample_format):
        out = one_line(
            make(FORMATS[sample_format], NormaliserSettings(first_seen=date(2024, 12, 31))), with_header(case)
        )
        decided = (out.events.height > 0) + len(out.ignored) + len(out.rejects)
        assert decided == 1, case.id
        assert {r.reason for r in out.rejects} == {REJECTS[sample_format][case.id]} if out.rejects else True, case.id
        assert all(reason in set(Ignored) for _, reason in out.ignored), case.id


@pytest.mark.parametrize("sample_format", FORMATS)
def test_peers_agree_in_95_of_100_fields_and_each_disagreement_is_explained(
    sample_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = cases(sample_format)
    keys = load_keys(HERE / "peer_keys.toml", sample_format)
    result = tally(found, keys, fresh(FORMATS[sample_format]), with_header)
    with capsys.disabled():
        print("\n" + result.report(sample_format))  # noqa: T201 - the denominator is part of the result
    listed = load_disagreements(HERE / "peer_disagreements.toml", sample_format)
    unlisted = [c for c in result.disagreements if (c.case, c.key) not in listed]
    assert not unlisted, "\n".join(f"{c.case} {c.key}: {c.theirs!r}, ours {c.column} {c.ours!r}" for c in unlisted)
    assert set(listed) == {(c.case, c.key) for c in result.disagreements}, "a listed disagreement is none any more"
    assert len(result.comparisons) - len(result.disagreements) >= 0.95 * len(result.comparisons)


@pytest.mark.parametrize("sample_format", FORMATS)
def test_every_mapped_key_is_stated_by_some_case(sample_format: str) -> None:
    found = cases(sample_format)
    for repo, keys in load_keys(HERE / "peer_keys.toml", sample_format).items():
        stated = {key for case in found if case.repo == repo for key in case.expected}
        assert {key.key for key in keys} <= stated, repo
