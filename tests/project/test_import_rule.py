from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.tree import import_faults, modules, text_of, uses_faust


def test_imports_go_down_only() -> None:
    faults = [fault for path in modules() for fault in import_faults(path, text_of(path))]
    assert not faults, "\n".join(faults)


def test_at_most_one_module_of_agents_imports_faust_and_outside_it_only_the_naive_benchmark() -> None:
    users = [path for path in modules() if path.parts[0] != "tests" and uses_faust(path, text_of(path))]
    in_agents = [path for path in users if path.parts[0] == "agents"]
    elsewhere = [path for path in users if path.parts[0] != "agents" and path.parts[:2] != ("infra", "bench")]
    assert len(in_agents) <= 1, in_agents
    assert not elsewhere


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("schemas/x.py", "import streams"),
        ("schemas/x.py", "from agents.rules import model"),
        ("schemas/x.py", "import faust"),
        ("streams/x.py", "from agents import rules"),
        ("streams/normalisers/x.py", "from ... import agents"),
        ("streams/x.py", "import infra.config"),
        ("agents/x.py", "import streams.sources"),
        ("agents/engine/x.py", "import time"),
        ("agents/engine/x.py", "from os import path"),
        ("agents/x.py", "def f():\n    from infra import cli"),
        ("agents/x.py", "import importlib\nimportlib.import_module('infra.cli')"),
        ("infra/x.py", "from tests import conftest"),
    ],
)
def test_a_breach_is_found_however_it_is_written(module: str, line: str) -> None:
    assert import_faults(Path(module), line)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("schemas/x.py", "import json, polars\nfrom schemas.ids import event_id"),
        ("streams/normalisers/x.py", "from .abstract import Normaliser\nfrom schemas import kinds"),
        ("agents/engine/x.py", "from datetime import timedelta\nimport numpy"),
        ("infra/x.py", "import streams, agents, schemas, faust"),
    ],
)
def test_what_the_rule_allows_is_no_breach(module: str, line: str) -> None:
    assert import_faults(Path(module), line) == []


@pytest.mark.parametrize("line", ["import faust", "from faust.types import AppT", "import mode.utils"])
def test_a_use_of_faust_is_found(line: str) -> None:
    assert uses_faust(Path("agents/x.py"), line)
