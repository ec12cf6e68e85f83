"""The collectors' process: `python -m infra.run.collect [CONFIG]`. Reads every configured source until stopped or done.

Exit codes: 0 all sources that are read once have ended, or a clean stop; 2 configuration; 4 a source failed, the others
went on to their end.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from agents.privacy.keys import read
from infra.config import load
from infra.privacy_settings import Privacy
from infra.run.health import Health
from infra.run.heart import Heart
from infra.run.knock import knock
from infra.run.paths import DataPaths
from schemas import metrics as names
from schemas.errors import AupstreamError, InputError, RetryableError, StateError
from schemas.logs import configure
from schemas.logsettings import LogSettings
from schemas.metrics import Metrics
from schemas.sealing import Sealer
from schemas.traces import tracing
from streams.collector import Collector, CollectorSettings
from streams.config import SourceConfig
from streams.intake import JoinFaultError
from streams.positions import PositionFile
from streams.producer import KafkaSink
from streams.register import register_all
from streams.runner import Reader, collect_garbage_seldom, run
from streams.sources.make import make_source
from streams.unmade import Unmade

log = logging.getLogger("aupstream.collect")
STATUS_S = 0.5
CAREFUL = 200_000  # lines that are read one by one after a fault: from the oldest line of an open join on


class _Sources:
    """The collectors of this process, and what those failed with that are not tried again yet.

    Args:
        make: Makes a collector; so many of its lines are read with care.
        configs: Sources.
    """

    def __init__(self, make: Callable[[SourceConfig, int], Reader], configs: Sequence[SourceConfig]) -> None:
        self._make = make
        self.collectors = [self._made(config) for config in configs]
        self.errors: dict[str, AupstreamError] = {}

    def _made(self, config: SourceConfig) -> Reader:
        """A collector; where what is kept of its source cannot be used, one that fails: the others are read."""
        try:
            return self._make(config, 0)
        except (InputError, StateError) as error:
            return Unmade(config, error)

    def failed(self, collector: Reader, error: AupstreamError) -> None:
        """One has failed."""
        name = collector.config.name
        self.errors[name] = error
        log.error("source %s stopped: %s", name, error, extra={"source": name})

    def remade(self, old: Reader) -> Reader:
        """One made anew in the place of one that failed."""
        name = old.config.name
        new = self._make(old.config, CAREFUL if isinstance(self.errors[name], JoinFaultError) else 0)
        self.collectors[self.collectors.index(old)] = new  # in place: others look at this list
        del self.errors[name]
        return new

    def problem(self, collector: Reader) -> str:
        """For the status file."""
        return str(self.errors.get(collector.config.name) or collector.told or "")

    def troubled(self) -> list[str]:
        """Names of sources that are not read as they should be."""
        return [c.config.name for c in self.collectors if c.config.name in self.errors or c.problem is not None]


class _Status(threading.Thread):
    """Writes the status file; a thread, so that a slow step does not make the process look dead."""

    def __init__(self, folder: Path, sources: _Sources, metrics: Metrics, stop: threading.Event) -> None:
        super().__init__(name="status", daemon=True)
        self._path = folder / "collect.json"
        self._sources, self._metrics, self._over = sources, metrics, stop

    def run(self) -> None:
        """Write until the process ends."""
        while not self._over.wait(STATUS_S):
            with suppress(OSError):  # a disk that is full for a while must not end the thread: it is told again after
                self.write()

    def write(self) -> None:
        """Replace the file."""
        for c in self._sources.collectors:
            self._metrics.set(names.OPEN_LINES, c.open_lines, source=c.config.name)
            if c.newest is not None:
                self._metrics.set(names.SOURCE_TIME, c.newest / 1e6, source=c.config.name)
        sources = {
            c.config.name: {
                "type": c.config.type,
                "path": c.config.path,
                "done": c.done,
                "problem": self._sources.problem(c),
                **({} if c.newest is None else {"newest_s": c.newest / 1e6}),
            }
            for c in self._sources.collectors
        }
        status = {
            "agent": "collect",
            "worker": "collect",
            "pid": os.getpid(),
            "inputs": {},
            "sources": sources,
            "metrics": self._metrics.snapshot(),
            "at": time.time(),
        }
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(status))
        temporary.replace(self._path)


def _clock() -> int:
    return time.time_ns() // 1_000


def _told_to_stop() -> threading.Event:
    """Set by SIGTERM and Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _knock(address: str) -> None:
    """Say why Kafka does not let us in. A network that fails just now must not end who waits for it."""
    try:
        knock(address)
    except RetryableError as error:
        log.warning("%s; waiting for it", error)


def sealer_of(privacy: Privacy, data: Path) -> Sealer | None:
    """Seals lines that cannot be read; None where names are stored as logged, or where the keys are not kept here.

    A collector makes no keys: nobody who keeps the others' would be able to open what it sealed. Where it has none, as
    on a machine of its own, the lines are sealed by whoever stores them.

    Raises:
        ConfigError: the keys are here and cannot be used.
    """
    path = privacy.keys(data)
    try:
        here = privacy.on and path.exists()
    except OSError:  # hidden from this process
        here = False
    if privacy.on and not here:
        log.warning("no keys at %s: lines that cannot be read are sealed where they are stored, and not before", path)
    return read(path).sealer() if here else None


def collect(config_file: Path | None) -> int:
    """Read all sources of a configuration; the exit code.

    Raises:
        AupstreamError: the configuration is wrong.
    """
    config = load(config_file)
    configure("collect", config.logs)
    paths = DataPaths(config.data.absolute())
    paths.make()
    stop = _told_to_stop()
    _knock(config.kafka.address)
    epoch = register_all(config.collectors(), config.kafka.address)
    metrics, over = Metrics(), threading.Event()
    traces = tracing(config.traces, "collect", metrics)
    sink = KafkaSink(config.kafka.address, metrics=metrics, traces=traces)
    seal = sealer_of(config.privacy, config.data)
    settings = CollectorSettings(epoch=epoch, today=datetime.now(UTC).date(), seal=seal)

    def make(source: SourceConfig, careful: int) -> Reader:
        positions = PositionFile(paths.positions, source.name)
        return Collector(
            source, make_source(source), sink, settings, positions=positions, metrics=metrics, careful=careful
        )

    read_here = _Sources(make, config.collectors())
    health = Health(config.health.listen, paths.status, read_here.troubled).start()
    status = _Status(paths.status, read_here, metrics, over)
    status.start()
    heart = Heart(config.kafka.address, read_here.collectors)
    heart.start()
    try:
        clean = run(
            read_here.collectors, stop, _clock, failed=read_here.failed, remake=read_here.remade, beat=health.beat
        )
    finally:
        heart.stop()
        health.stop()
        traces.close()
        over.set()
        status.join()
        status.write()
        sink.close()
    return 0 if clean and not read_here.errors else 4


def main(argv: list[str]) -> int:
    """Run as a process."""
    configure("collect", LogSettings.inherited())
    collect_garbage_seldom()
    try:
        return collect(Path(argv[0]) if argv and argv[0] else None)
    except AupstreamError as error:
        log.error("%s", error)  # noqa: TRY400  # an error that names its place needs no traceback
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
