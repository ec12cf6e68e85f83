"""A configuration in a folder of its own, a running system on it, and the same logs judged without servers."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agents.build import district_of, inventory_of, judge_of
from agents.engine.episodes import Records
from agents.engine.pipeline import Pipeline, last_versions
from agents.rules.loader import load_rules
from agents.rules.model import RuleSet
from infra.config import Config, load
from infra.run.drain import statuses
from infra.run.paths import DataPaths
from infra.run.system import System
from infra.simulate import simulate
from schemas.kinds import DEAD_LETTERS, EventKind
from streams.config import SourceConfig
from streams.road import deliveries

_KINDS = {kind.topic: kind for kind in EventKind}
CONFIG = "aupstream.toml"
WITHIN_S = 280.0  # for everything to come through; the machine may be busy with other things


@dataclass(frozen=True)
class Scene:
    """A folder with logs and the configuration that reads them."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / CONFIG

    @property
    def config(self) -> Config:
        return load(self.file)

    @property
    def truth(self) -> dict[str, Any]:
        """What a simulation says of itself."""
        read: dict[str, Any] = json.loads((self.folder / "truth.json").read_text())
        return read

    def change(
        self,
        *,
        sources: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] | None = None,
        **sections: Mapping[str, Any],
    ) -> None:
        """Write the configuration again: `sources` by a function, keys of other sections by name."""
        plain = tomllib.loads(self.file.read_text())
        if sources is not None:
            plain["sources"] = sources(plain["sources"])
        for name, keys in sections.items():
            plain[name] = {**plain.get(name, {}), **keys}
        self.file.write_text(to_toml(plain))

    @contextmanager
    def running(self, **start: Any) -> Iterator[System]:
        """The system, started; stopped at the end whatever happens."""
        system = System(self.config, self.file, print)
        system.start(**start)
        try:
            yield system
        finally:
            system.stop()


def simulated(folder: Path, *, seed: int, lines: int) -> Scene:
    """A scene of a simulated day."""
    simulate(seed, lines, folder)
    scene = Scene(folder)
    scene.change(privacy={"pseudonyms": False})  # what is stored is held against what was judged, name by name
    return scene


def to_toml(plain: Mapping[str, Any], prefix: str = "") -> str:
    """A configuration as TOML: values first, then its tables."""
    out = [f"{key} = {json.dumps(value)}" for key, value in plain.items() if not _is_table(value)]
    for key, value in plain.items():
        if isinstance(value, Mapping):
            out += ["", f"[{prefix}{key}]", to_toml(value, f"{prefix}{key}.")]
        elif _is_table(value):
            for item in value:
                out += ["", f"[[{prefix}{key}]]", to_toml(item, f"{prefix}{key}.")]
    return "\n".join(out)


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def backtest(
    config: Config,
    *,
    sources: Sequence[SourceConfig] | None = None,
    count: list[int] | None = None,
    rules: RuleSet | None = None,
) -> Records:
    """The last versions of the violations, judged in this process without any server.

    Args:
        config: Context, and the sources.
        sources: In place of the configuration's.
        count: Given the number of messages that the logs made.
        rules: In place of the policy pack.
    """
    district = district_of(config.district)
    pipeline = Pipeline(
        rules or load_rules(), district, inventory_of(config.district), judge_of(config.district, district)
    )
    now = datetime.now(UTC)
    configs = [replace(s, mode="once") for s in (config.collectors() if sources is None else sources)]
    messages = 0
    for headers, frame, message in deliveries(configs, now_us=int(now.timestamp() * 1e6), today=now.date()):
        messages += 1
        if headers is not None and frame is not None and message.topic != DEAD_LETTERS:
            pipeline.take(_KINDS[message.topic], frame, earliest=headers.earliest)
    if count is not None:
        count.append(messages)
    return last_versions(pipeline.finish())


def wait_until(system: System, reached: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Keep a system running until something is reached.

    Raises:
        TimeoutError: it took longer.
    """
    deadline = time.monotonic() + within_s
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not reached after {within_s:.0f} s; logs are in {system.paths.logs}")
        for sentence in system.poll():
            print(sentence)  # noqa: T201 - the run's story, shown where a test fails
        time.sleep(0.05)


def handled(paths: DataPaths, agent: str = "") -> int:
    """Messages that the workers have handled, of one agent or of all, by their status files."""
    return sum(s.get("handled", 0) for s in statuses(paths.status) if agent in ("", s.get("agent")))
