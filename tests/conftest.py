"""What all tests share: Hypothesis profiles, and the order that tells of a plain mistake first."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

# `ci`: the same examples every time, so that a red run means a changed program. `dev`: new ones each time, which are
# kept in .hypothesis when they fail. `long`: for a night. Deadlines are off: the machine may be busy.
settings.register_profile("ci", derandomize=True, max_examples=50, deadline=None, print_blob=True)
settings.register_profile("dev", max_examples=50, deadline=None, print_blob=True)
settings.register_profile("long", max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("AUPSTREAM_HYPOTHESIS") or ("ci" if os.environ.get("CI") else "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Style, types and structure first, what starts servers last; where several share the work, they take turns."""

    def order(item: pytest.Item) -> int:
        if "tests/project/test_static_checks.py" in item.nodeid:
            return 0
        return 2 if item.get_closest_marker("servers") or item.get_closest_marker("long") else 1

    if "PYTEST_XDIST_WORKER" in os.environ:
        _share(items, order)
    else:
        items.sort(key=order)


def _share(items: list[pytest.Item], order: Callable[[pytest.Item], int]) -> None:
    """Sort whole files, which are the pieces of work that are handed out: quick ones and those with servers by turns.

    Two with servers would each take twice as long beside each other.
    """
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    kind = {file: max(map(order, some)) for file, some in files.items()}
    of_kind = {wanted: [file for file in files if kind[file] == wanted] for wanted in (0, 1, 2)}
    place = {file: n / len(some) for some in of_kind.values() for n, file in enumerate(some, 1)}
    items[:] = [item for file in sorted(files, key=lambda f: kind[f] and place[f]) for item in files[file]]
