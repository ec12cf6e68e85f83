"""What all tests share: Hypothesis profiles, and the order that tells of a plain mistake first."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# `ci`: the same examples every time, so that a red run means a changed program. `dev`: new ones each time, which are
# kept in .hypothesis when they fail. `long`: for a night. Deadlines are off: the machine may be busy.
settings.register_profile("ci", derandomize=True, max_examples=50, deadline=None, print_blob=True)
settings.register_profile("dev", max_examples=50, deadline=None, print_blob=True)
settings.register_profile("long", max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("AUPSTREAM_HYPOTHESIS") or ("ci" if os.environ.get("CI") else "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Style, types and structure first, what starts servers last; else as collected."""

    def order(item: pytest.Item) -> int:
        if "tests/project/test_static_checks.py" in item.nodeid:
            return 0
        return 2 if item.get_closest_marker("servers") or item.get_closest_marker("long") else 1

    items.sort(key=order)
