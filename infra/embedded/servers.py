"""Both servers under one data folder, started together, watched, restarted when one dies, stopped together."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self, TypedDict

from infra.embedded import clickhouse, endpoints, jars, kafka, logs, metadata, password, ports
from infra.embedded.child import stop_stale
from infra.embedded.endpoints import ANALYST, USER, Endpoints, Layout
from infra.embedded.errors import EmbeddedError, FolderError, StartError
from infra.embedded.kafka_probe import is_ready as kafka_is_ready
from infra.embedded.lock import FolderLock
from infra.embedded.part import Part

START_WITHIN_SEC: Final = 120.0
LEAST_FREE: Final = 128 << 20  # bytes: two segments of Kafka's logs
_POLL_SEC: Final = 0.05


class Health(TypedDict):
    """Health of one part."""

    pid: int | None
    port: int
    ok: bool
    detail: str


class EmbeddedServers:
    """Apache Kafka and ClickHouse on loopback, with all their data, passwords and logs under ``folder``.

    One thread calls `start`, then `poll` about once a second, then `stop`. The process that does so is the parent of
    both servers: when it dies, they stop, and the next `start` picks up where they were.

    Args:
        folder: Everything of theirs.
        cache: Downloads.
        say: Told what is being done, one sentence a time.
        kafka_heap_mb: Java heap.
        kafka_advertised: Port that Kafka tells its clients to come to, where something stands between; None: its own.
        free: Says how many bytes are free where a folder is.
    """

    def __init__(
        self,
        folder: Path,
        *,
        cache: Path,
        say: Callable[[str], None],
        kafka_heap_mb: int = 512,
        kafka_advertised: int | None = None,
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self._layout = Layout(folder.absolute())
        self._cache = cache.absolute()
        self._say = say
        self._heap_mb = kafka_heap_mb
        self._advertised = kafka_advertised
        self._free = free
        self._lock: FolderLock | None = None
        self._parts: dict[str, Part] = {}

    def start(self) -> Endpoints:
        """Start both and block until both are ready (about 6 s; at the first time also a download of 44 MB).

        Raises a subclass of `EmbeddedError` that says what, where and what to do; then nothing is left running.
        """
        if self._lock is not None:
            raise FolderError("already started", where=str(self._layout.folder), todo="Call stop() first.")
        self._make_folder()
        self._lock = FolderLock.take(self._layout.lock)
        try:
            return self._start_locked()
        except BaseException:
            self.stop()
            raise

    def check(self) -> dict[str, Health]:
        """Ask each part whether it works, as a client would. Blocks at most a few seconds."""
        health: dict[str, Health] = {}
        for name, part in self._parts.items():
            ok, detail = part.is_ready()
            if not part.is_alive():
                ok, detail = False, "the process is not running"
            health[name] = Health(pid=part.pid if part.is_alive() else None, port=part.port, ok=ok, detail=detail)
        return health

    def poll(self) -> list[str]:
        """Restart what died, on the same port and data; keep the logs bounded. What happened, as sentences.

        Does not block until a restarted part is ready: `check` tells. Never raises for a part that cannot be started
        again; it says why and tries again at the next call, at growing distances of up to 30 s.
        """
        happened: list[str] = []
        for part in self._parts.values():
            happened += part.poll()
            logs.bound(part.log)
        return happened

    def stop(self) -> None:
        """Stop both cleanly and release the folder. Blocks until they are gone. Idempotent."""
        if self._lock is None:
            # Never started, or refused: the folder is somebody else's.
            return
        self._layout.running.unlink(missing_ok=True)
        # Kafka first: what reads from it and writes to ClickHouse sees its source end before its sink does.
        for name in ("kafka", "clickhouse"):
            part = self._parts.pop(name, None)
            if part is not None:
                part.stop()
        self._lock.release()
        self._lock = None

    @property
    def pids(self) -> dict[str, int]:
        """Process id of each part that runs."""
        return {name: part.pid for name, part in self._parts.items() if part.pid is not None}

    def _start_locked(self) -> Endpoints:
        self._layout.running.unlink(missing_ok=True)
        self._stop_stale()
        paths = jars.ensure(self._cache, self._say)
        numbers = ports.settle(self._layout.ports, self._say)
        secret = password.ensure(self._layout.password(USER))
        password.ensure(self._layout.password(ANALYST))
        self._parts = {
            "clickhouse": self._clickhouse_part(numbers, secret),
            "kafka": self._kafka_part(numbers, paths),
        }
        for part in self._parts.values():
            part.start()
        self._await_ready()
        endpoints.write_running(self._layout)
        return endpoints.build(self._layout, numbers)

    def _make_folder(self) -> None:
        folders = (self._layout.folder, self._layout.folder / "secrets", self._layout.logs, self._layout.clickhouse)
        try:
            for folder in folders:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise FolderError(
                f"the data folder cannot be made: {error}",
                where=str(self._layout.folder),
                todo="Choose a folder that this user may write to.",
            ) from error

    def _stop_stale(self) -> None:
        for name in ("kafka", "clickhouse"):
            pid = stop_stale(self._layout.pid_file(name), within_sec=20.0)
            if pid is not None:
                self._say(f"stopped process {pid}: {name} of an earlier `up` that was killed")

    def _kafka_part(self, numbers: ports.Ports, paths: tuple[Path, ...]) -> Part:
        config = kafka.KafkaConfig(
            folder=self._layout.kafka,
            port=numbers.kafka,
            controller_port=numbers.kafka_controller,
            heap_mb=self._heap_mb,
            jars=paths,
            log=self._layout.logs / "kafka.log",
            pid_file=self._layout.pid_file("kafka"),
            advertised_port=self._advertised,
        )

        def before() -> None:
            self._need_room(self._layout.kafka, "kafka")
            jars.ensure(self._cache, self._say)
            kafka.prepare(config)
            metadata.keep(config.data, config.folder / "metadata-copy", self._say)

        return Part(
            spec=kafka.child_spec(config),
            port=numbers.kafka,
            ports=(numbers.kafka, numbers.kafka_controller),
            before=before,
            probe=lambda: kafka_is_ready(numbers.kafka),
        )

    def _clickhouse_part(self, numbers: ports.Ports, secret: str) -> Part:
        config = clickhouse.ClickHouseConfig(
            data=self._layout.clickhouse / "data",
            port=numbers.clickhouse,
            password_file=self._layout.password(USER),
            analyst_password_file=self._layout.password(ANALYST),
            log=self._layout.logs / "clickhouse.log",
            pid_file=self._layout.pid_file("clickhouse"),
        )
        return Part(
            spec=clickhouse.child_spec(config),
            port=numbers.clickhouse,
            ports=(numbers.clickhouse,),
            before=lambda: self._need_room(self._layout.clickhouse, "clickhouse"),
            probe=lambda: clickhouse.is_ready(numbers.clickhouse, USER, secret),
        )

    def _need_room(self, folder: Path, name: str) -> None:
        """Refuse a start on a full disk: Kafka, recovering on one, throws its metadata away, and with it every topic.

        Seen with Kafka 4.1 by the chaos runs: "Found invalid offset during recovery. Deleting the corrupt segment".
        """
        folder.mkdir(parents=True, exist_ok=True)
        free = self._free(folder)
        if free < LEAST_FREE:
            raise StartError(
                f"the disk is full ({free >> 20} MB are free): {name} is not started before {LEAST_FREE >> 20} MB are",
                where=str(folder),
                todo="Make room. What was acknowledged is on the disk, and collectors and agents wait meanwhile.",
            )

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_WITHIN_SEC
        waiting: Mapping[str, Part] = dict(self._parts)
        while waiting:
            for part in waiting.values():
                if not part.is_alive():
                    raise part.start_error("ended before it was ready")
            waiting = {name: part for name, part in waiting.items() if not part.is_ready()[0]}
            if waiting and time.monotonic() > deadline:
                part = next(iter(waiting.values()))
                raise part.start_error(f"was not ready after {START_WITHIN_SEC:.0f} s ({part.is_ready()[1]})")
            time.sleep(_POLL_SEC if waiting else 0)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(EmbeddedError):
            self.stop()


__all__ = ["START_WITHIN_SEC", "EmbeddedServers", "Health", "StartError"]
