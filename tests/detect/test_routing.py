"""A rule reads the log formats that its logsource is about, and no others."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine import detect
from agents.engine.detect import Detector
from agents.rules.examples import frame_of
from agents.rules.loader import parse_rules
from agents.rules.logsources import Route, Unknown, route_of
from schemas.kinds import EventKind

DISTRICT = District.of("Example", "America/Denver", ["school.example"], [])
RULE = """
title: {name}
name: {name}
logsource: {source}
level: low
detection: {{s: {{user_name: anna}}, condition: s}}
"""
SOURCES = {
    "any-login": "{category: authentication}",
    "windows": "{product: windows, service: security}",
    "okta": "{product: okta, service: okta}",
    "ssh": "{product: linux, service: sshd}",
}
READS = {
    "windows_security": {"any-login", "windows"},
    "okta": {"any-login", "okta"},
    "openssh": {"any-login", "ssh"},
    "a-format-of-ones-own": {"any-login"},
    None: {"any-login"},
}
RULES = parse_rules("---".join(RULE.format(name=name, source=source) for name, source in SOURCES.items()))


def _frame(datasets: list[str | None]) -> pl.DataFrame:
    usual = {
        "user_name": "anna", "log_source": "s", "log_generation": "g", "log_hash": "h", "log_offset": 0, "log_sub": 0,
        "late": False, "time_suspect": False, "event_id": "e", "timestamp": 0,
    }  # fmt: skip
    return frame_of(EventKind.LOGIN, [usual | {"event_dataset": dataset} for dataset in datasets])


@given(st.lists(st.sampled_from(list(READS)), max_size=12))
def test_each_event_goes_to_the_rules_about_its_format_however_formats_are_mixed(datasets: list[str | None]) -> None:
    found = Detector(RULES, DISTRICT, Inventory.none()).detect(_frame(datasets), EventKind.LOGIN)
    expected = sorted((i, name) for i, dataset in enumerate(datasets) for name in READS[dataset])
    assert sorted(found.select("row", "rule_id").rows()) == expected


def test_more_formats_than_are_remembered_only_cost_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "MAX_SCANNERS", 2)
    detector = Detector(RULES, DISTRICT, Inventory.none())
    datasets = [f"format-{i}" for i in range(9)]
    for _ in range(2):
        assert detector.detect(_frame([*datasets, "okta"]), EventKind.LOGIN).height == 11


@pytest.mark.parametrize(
    ("source", "takes", "leaves"),
    [
        ({"category": "proxy"}, "squid.access", "nginx.access"),
        ({"category": "webserver"}, "nginx.access", "squid.access"),
        ({"category": "dns"}, "squid.access", "nginx.access"),
        ({"category": "webserver", "service": "apache"}, "apache.access", "nginx.access"),
        ({"service": "nginx"}, "nginx.access", "apache.access"),
        ({"category": "authentication", "product": "windows"}, "windows_security", "okta"),
        ({"product": "azure", "service": "signinlogs"}, "entra_signin", "okta"),
        ({"product": "gcp", "service": "google_workspace.login"}, "google_login", "okta"),
        ({"product": "linux"}, "openssh", "okta"),
        ({"product": "linux", "service": "auth"}, "pam", "vsftpd"),
        ({"category": "proxy", "product": "zscaler"}, "squid.access", "nginx.access"),
    ],
)
def test_a_log_source_means_these_formats(source: dict[str, Any], takes: str, leaves: str) -> None:
    route = route_of(source)
    assert isinstance(route, Route)
    assert route.takes(takes)
    assert not route.takes(leaves)


@pytest.mark.parametrize(
    ("source", "label"),
    [
        ({"category": "process_creation", "product": "windows"}, "windows/process_creation"),
        ({"product": "linux", "service": "auditd"}, "linux/auditd"),
        ({"category": "proxy", "product": "okta", "service": "okta"}, "okta/proxy/okta"),
        ({"category": "proxy", "service": "no-such"}, "proxy/no-such"),
        ({"category": ["proxy"]}, "no log source"),
        ({}, "no log source"),
    ],
)
def test_a_log_source_that_nothing_is_read_of_is_named(source: dict[str, Any], label: str) -> None:
    route = route_of(source)
    assert isinstance(route, Unknown)
    assert route.label == label
