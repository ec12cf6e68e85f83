"""One run: servers behind proxies, the whole system, logs that grow, faults by a plan, and what came of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from clickhouse_driver.errors import Error

from infra.config import load
from infra.embedded import EmbeddedServers, read_endpoints
from infra.run.system import COLLECT, System, cache_folder
from tests.chaos.faults import Chaos
from tests.chaos.oracle import RULES, Wanted, wanted
from tests.chaos.outcome import Outcome, outcome
from tests.chaos.plan import SERVERS, Fault
from tests.chaos.proxy import Proxy
from tests.chaos.shim import Shim, compiler, preload
from tests.chaos.workload import TYPES, Log, Writer, make_logs, permits
from tests.road.scene import to_toml
from tests.road.stored import Stored

LINES_A_S = 200
CATCH_UP_S = 300.0  # after the workload and the last fault; what is not through then is missing
_LOOK_S = 0.05
_ASK_S = 1.0


class Run:
    """See the module.

    Args:
        folder: Empty; for everything.
        seed: Of logs and plan.
        seconds: Length of the workload.
        faults: The plan.
        say: Told what happens, a line a time.
        lines_a_s: Lines a second, all logs together.
        judge: Holds what came out against what the oracle asks for, while the servers still run.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        seconds: float,
        faults: Sequence[Fault],
        say: Callable[[str], None],
        lines_a_s: int = LINES_A_S,
        judge: Callable[[Stored, Wanted], Outcome] = outcome,
    ) -> None:
        self._folder, self._seconds, self._faults, self._say = folder, seconds, faults, say
        self._judge = judge
        self._logs = make_logs(seed, round(seconds * lines_a_s), seconds)
        self._chaos: Chaos | None = None
        self.done: Sequence[Fault] = ()

    @property
    def lines(self) -> dict[str, int]:
        """Of every source."""
        return {log.name: log.lines for log in self._logs}

    def go(self) -> Outcome:
        """Run to the end; everything is stopped then."""
        asked = wanted(self._logs)
        self._say(f"{sum(asked.lines.values())} lines, {len(asked.violations)} violations by the oracle")
        with self._surroundings() as (servers, proxies, shim):
            system = System(load(self._config(servers, proxies)), self._folder / "aupstream.toml", self._say)
            system.start()
            try:
                return self._played(system, servers, proxies, shim, asked)
            finally:
                system.stop()

    def _free(self, folder: Path) -> int:
        """What servers are told of their disk: nothing is free while the shim has it full for the one in the folder."""
        return 0 if self._chaos is not None and folder.name in self._chaos.full else 1 << 40

    @contextmanager
    def _surroundings(self) -> Iterator[tuple[EmbeddedServers, dict[str, Proxy], Shim | None]]:
        ports: dict[str, int] = {}
        proxies = {name: Proxy(partial(_port, ports, name)).start() for name in SERVERS}
        shim = Shim(self._folder) if compiler() else None
        before = preload(shim) if shim else {}
        servers = EmbeddedServers(
            self._folder / "servers", cache=cache_folder(), say=self._say, kafka_heap_mb=384,
            kafka_advertised=proxies["kafka"].port, free=self._free,
        )  # fmt: skip
        try:
            servers.start()
            ports.update({name: health["port"] for name, health in servers.check().items()})
            yield servers, proxies, shim
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            servers.stop()
            for proxy in proxies.values():
                proxy.stop()
            if shim is not None:
                shim.close()

    def _config(self, servers: EmbeddedServers, proxies: dict[str, Proxy]) -> Path:
        endpoints = read_endpoints(self._folder / "servers")
        assert endpoints is not None
        direct = servers.check()["clickhouse"]["port"]
        (self._folder / "permits.csv").write_text(permits())
        plain = {
            "district": {"permits": str(self._folder / "permits.csv")},
            "data": str(self._folder / "data"),
            "kafka": {"bootstrap": f"127.0.0.1:{proxies['kafka'].port}"},
            "clickhouse": {"dsn": endpoints.clickhouse.replace(f":{direct}", f":{proxies['clickhouse'].port}")},
            "rules": {"paths": [str(RULES)]},
            "privacy": {"pseudonyms": False},
            "sources": [
                {
                    "name": log.name,
                    "type": TYPES[log.name],
                    "path": str(self._folder / f"{log.name}.log"),
                    "mode": "follow",
                    "batch_rows": 100,
                }
                for log in self._logs
            ],
        }
        path = self._folder / "aupstream.toml"
        path.write_text(to_toml(plain))
        return path

    def _played(
        self, system: System, servers: EmbeddedServers, proxies: dict[str, Proxy], shim: Shim | None, asked: Wanted
    ) -> Outcome:
        writer = Writer(self._logs, self._folder, self._seconds)
        chaos = self._chaos = Chaos(system, servers, proxies, shim, self._faults, self._say)
        writer.start()
        while writer.is_alive() or not chaos.over:
            self._poll(system, servers)
            chaos.step()
            time.sleep(_LOOK_S)
        self.done = chaos.done
        began = time.monotonic()
        self._say("the workload is over, and so are the faults")
        stored = Stored(system)
        try:
            self._wait(system, servers, stored)
            self._say(f"caught up after {time.monotonic() - began:.0f} s; starts: {system.processes.starts}")
            return self._judge(stored, asked)
        finally:
            stored.close()

    def _poll(self, system: System, servers: EmbeddedServers) -> None:
        for sentence in [*servers.poll(), *system.poll()]:
            self._say(f"          {sentence}")

    def _wait(self, system: System, servers: EmbeddedServers, stored: Stored) -> None:
        """Until every line is accounted for; then the collectors are stopped, so that an end can be seen."""
        deadline = time.monotonic() + CATCH_UP_S
        while time.monotonic() < deadline:
            self._poll(system, servers)
            if COLLECT in system.processes.starts:
                if _read(stored, self._logs):
                    system.processes.remove(COLLECT)
            elif system.drained():
                return
            time.sleep(_ASK_S)
        self._say(f"not all is through after {CATCH_UP_S:.0f} s: {system._left()}")


def _port(ports: Mapping[str, int], name: str) -> int:
    return ports.get(name, 0)


def _read(stored: Stored, logs: Sequence[Log]) -> bool:
    try:
        ledger = stored.ledger()
    except (Error, OSError, EOFError):  # ClickHouse is coming back
        return False
    return all(log.name in ledger and ledger[log.name].lines >= log.lines for log in logs)
