"""The listeners' process: `python -m infra.run.listen [CONFIG]`. Takes what comes over the network into spools on disk.

Apart from the collectors', so that a slow or restarted collector costs no datagram. Needs neither Kafka nor ClickHouse.
Exit codes: 0 a clean stop; 2 configuration; 4 an address cannot be listened on (now).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from infra.config import load
from infra.run.health import Health
from infra.run.paths import DataPaths
from schemas.errors import AupstreamError
from schemas.logs import configure
from schemas.logsettings import LogSettings
from schemas.metrics import Metrics
from streams.listen.listener import Listener
from streams.listen.settings import ListenerConfig
from streams.normalisers.registry import claims_of

log = logging.getLogger("aupstream.listen")
STATUS_S = 0.5
_OTHER_FILES = 256  # descriptors for all that is no connection


def write_status(folder: Path, listeners: Sequence[Listener], metrics: Metrics) -> None:
    """Replace the status file."""
    status = {
        "agent": "listen",
        "worker": "listen",
        "pid": os.getpid(),
        "inputs": {},
        "listeners": {listener.config.name: listener.status() for listener in listeners},
        "metrics": metrics.snapshot(),
        "at": time.time(),
    }
    path = folder / "listen.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(status))
    temporary.replace(path)


def allow_files(configs: Sequence[ListenerConfig]) -> None:
    """Ask the system for a descriptor for each connection; says so where it gives fewer."""
    wanted = _OTHER_FILES + sum(c.max_connections for c in configs)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        given = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (given, hard))
        if given < wanted:
            log.warning(
                "max_connections of all listeners need %d open files and the system permits %d: connections beyond "
                "them wait; raise the limit (ulimit -n, LimitNOFILE=) or lower max_connections",
                wanted,
                given,
            )


async def listen(config_file: Path | None) -> None:
    """Listen until told to stop.

    Raises:
        AupstreamError: the configuration is wrong, or an address cannot be listened on.
    """
    config = load(config_file)
    configure("listen", config.logs)
    configs = config.listening()
    paths = DataPaths(config.data.absolute())
    paths.make()
    allow_files(configs)
    metrics, stop = Metrics(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    listeners: list[Listener] = []
    health = Health(
        config.health.listen, paths.status, lambda: [each.config.name for each in listeners if each.status()["problem"]]
    ).start()
    try:
        for each in configs:
            listener = Listener(each, claims_of, metrics, _clock)
            await listener.start()
            listeners.append(listener)
            log.info("listener %s: %s", each.name, ", ".join(map(str, listener.bound)))
        while not stop.is_set():
            health.beat()
            for listener in listeners:
                listener.check()
            write_status(paths.status, listeners, metrics)
            await _wait(stop)
    finally:
        health.stop()
        for listener in listeners:
            await listener.stop()
        write_status(paths.status, listeners, metrics)


async def _wait(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(STATUS_S):
            await stop.wait()
    except TimeoutError:
        pass


def _clock() -> int:
    return time.time_ns() // 1_000


def main(argv: list[str]) -> int:
    """Run as a process."""
    configure("listen", LogSettings.inherited())
    try:
        asyncio.run(listen(Path(argv[0]) if argv and argv[0] else None))
    except AupstreamError as error:
        log.error("%s", error)  # noqa: TRY400  # an error that names its place needs no traceback
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
