"""`aupstream up`, `run`, `collect` and `agents`: processes kept running until told to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import NoReturn

from kafka.errors import KafkaError

from infra.cli.configuration import Chosen, choose
from infra.cli.output import flush, line, on_terminal, talk
from infra.cli.records import show
from infra.cli.standing import Filters, standing
from infra.cli.store import USER, Store, embedded
from infra.embedded import ANALYST, EmbeddedServers, Endpoints, Layout
from infra.run.paths import DataPaths
from infra.run.system import ROOT, System, cache_folder
from schemas.errors import AupstreamError, ConfigError, ServerError
from schemas.logs import configure

_POLL_S = 1.0
_OWN = 0o077  # what is made here, logs and spools with names in them too, is for this account alone
_SAY_EVERY_S = 5.0


class _TerminatedError(BaseException):
    """SIGTERM came: like Ctrl-C it interrupts whatever is being done."""


@contextmanager
def terminable(clean_up: Callable[[], None]) -> Iterator[None]:
    """Until SIGTERM, which ends the block as if it had come to its end; Ctrl-C ends the command.

    Args:
        clean_up: Called however the block ends; not interrupted by further signals.
    """

    def told(number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        raise _TerminatedError

    before = signal.signal(signal.SIGTERM, told)
    try:
        yield
    except _TerminatedError:
        talk("told to stop")
    finally:
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        clean_up()
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, before)


def _chosen(process: str, config: Path | None, data: Path | None) -> Chosen:
    """The configuration; from here on the process says what it does in JSON where that is asked for."""
    os.umask(_OWN)
    chosen = choose(config, data)
    if chosen.config.logs.format == "json":
        configure(process, chosen.config.logs)
    return chosen


def up(config: Path | None, data: Path | None) -> None:
    """Embedded servers in the foreground.

    Raises:
        ConfigError: the configuration has servers of its own.
        EmbeddedError: they cannot be started.
    """
    chosen = _chosen("up", config, data)
    if chosen.config.kafka.address and chosen.config.clickhouse.dsn:
        hint = "remove kafka.bootstrap and clickhouse.dsn to use the embedded ones"
        raise ConfigError("the configuration names Kafka and ClickHouse of its own", where="up", hint=hint)
    paths = DataPaths(chosen.config.data.absolute())
    heap = chosen.config.kafka.heap_mb
    servers = EmbeddedServers(paths.servers, cache=cache_folder(), say=talk, kafka_heap_mb=heap)
    with terminable(servers.stop):
        endpoints = servers.start()
        paths.make()
        system = System(chosen.config, chosen.file, talk)
        system.start_servers()  # they run: this makes topics and tables
        _say_where(endpoints, Layout(paths.servers))
        while True:
            time.sleep(_POLL_S)
            for sentence in servers.poll():
                talk(sentence)


def _say_where(endpoints: Endpoints, layout: Layout) -> None:
    """How to connect, on standard output: no password, only the files that hold them."""
    rows = (
        ("kafka", endpoints.kafka),
        ("clickhouse", endpoints.clickhouse_redacted),
        ("password", str(layout.password(USER))),
        ("read-only user", f"{ANALYST}, password in {layout.password(ANALYST)}"),
        ("logs", str(layout.logs)),
    )
    for name, value in rows:
        line(f"{name:<15} {value}")
    flush()
    talk("ready; stop with Ctrl-C or SIGTERM")


def run(config: Path | None, data: Path | None, *, once: bool) -> None:
    """Everything in the foreground.

    Raises:
        ConfigError: there is no source, or one that cannot be read here.
        ServerError: something does not start, or with `once` a source could not be read.
    """
    chosen = _chosen("run", config, data)
    _check_sources(chosen, stdin=False)
    if once:
        _refuse_followed(chosen)
    system = System(chosen.config, chosen.file, talk)
    with terminable(system.stop):
        system.start()
        talk(f"running; logs are in {system.paths.logs}")
        if once:
            system.wait_until_drained(ticker(system))
            _sum_up(system)
        else:
            keep(system)


def keep(system: System) -> None:
    """Watch it for ever. SIGHUP asks to read the rules again."""
    asked = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: asked.set())
    health = system.health().start()
    while True:
        health.beat()
        happened = (
            system.poll(),
            system.once_for_all(),
            system.follow_context(),
        )
        for sentence in chain.from_iterable(happened):
            talk(sentence)
        if asked.is_set():
            asked.clear()
            _apply_rules(system)
        time.sleep(_POLL_S)


def _apply_rules(system: System) -> None:
    """Rules that are wrong change nothing and stop nothing."""
    talk("reading the rules again")
    try:
        talk(system.apply_rules())
    except AupstreamError as error:
        for sentence in str(error).splitlines():
            talk(sentence)
        talk("the rules stay as they were")


def ticker(system: System) -> Callable[[], None]:
    """Says now and then how much is left."""
    began = said = time.monotonic()

    def tick() -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= _SAY_EVERY_S:
            said = now
            try:
                left = {agent: n for agent, n in system.drain().left().items() if n}
            except KafkaError as error:  # it is started again by the same loop that calls this
                talk(f"{now - began:.0f} s: Kafka does not answer: {error}")
                return
            behind = ", ".join(f"{agent} {n} messages behind" for agent, n in left.items())
            talk(f"{now - began:.0f} s: {behind or 'reading'}")

    return tick


def _sum_up(system: System) -> None:
    """Print what was found: after this the embedded servers are stopped."""
    store = Store(system.clickhouse)
    try:
        found = standing(store, Filters(), evidence=not on_terminal())
    finally:
        store.close()
    show(found, as_json=False)
    talk(f"all is through; {len(found)} stand, {sum(v['status'] == 'violation' for v in found)} of status violation")


def agents(config: Path | None, data: Path | None) -> None:
    """Agents in the foreground.

    Raises:
        ServerError: the servers do not run.
    """
    chosen = _chosen("agents", config, data)
    kafka_of(chosen)
    system = System(chosen.config, chosen.file, talk)
    with terminable(system.stop):
        system.start(collectors=False)
        talk(f"agents run; logs are in {system.paths.logs}")
        keep(system)


def collect(config: Path | None, data: Path | None) -> NoReturn:
    """Collectors in place of this process, so that standard input, signals and exit code are theirs.

    Raises:
        ConfigError: there is no source.
        ServerError: Kafka does not run.
    """
    os.umask(_OWN)
    chosen = choose(config, data)
    _check_sources(chosen, stdin=True)
    kafka = kafka_of(chosen)
    env = {
        **os.environ,
        "AUPSTREAM_KAFKA__BOOTSTRAP": kafka,
        "AUPSTREAM_DATA": str(chosen.config.data.absolute()),
        "POLARS_MAX_THREADS": os.environ.get("POLARS_MAX_THREADS", "1"),
        "PYTHONPATH": os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p),
    }
    file = "" if chosen.file is None else str(chosen.file.absolute())
    flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", "infra.run.collect", file], env)  # noqa: S606 - no shell wanted


def listen(config: Path | None, data: Path | None) -> NoReturn:
    """Listeners in place of this process, so that signals and exit code are theirs.

    Raises:
        ConfigError: there is no listener, or one is wrong.
    """
    os.umask(_OWN)
    chosen = choose(config, data)
    if not chosen.config.listening():
        where = str(chosen.file or "no configuration file")
        hint = "add one; streams/sources/README.md has examples"
        raise ConfigError("the configuration has no [[listeners]]", where=where, hint=hint)
    env = {
        **os.environ,
        "AUPSTREAM_DATA": str(chosen.config.data.absolute()),
        "PYTHONPATH": os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p),
    }
    file = "" if chosen.file is None else str(chosen.file.absolute())
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", "infra.run.listen", file], env)  # noqa: S606 - no shell wanted


def _check_sources(chosen: Chosen, *, stdin: bool) -> None:
    """Say what is wrong with the sources before anything is started."""
    from infra.cli.naming import check_files  # noqa: PLC0415 - the normalisers are needed for this only

    sources = chosen.config.collectors()
    chosen.config.listening()
    if not sources:
        raise ConfigError(
            "the configuration has no [[sources]]",
            where=str(chosen.file or "no configuration file"),
            hint="add some, or name another file with --config; `aupstream simulate` writes one to start from",
        )
    if not stdin and any(s.path == "-" for s in sources):
        hint = "name a file, or run `aupstream agents` and `aupstream collect`"
        raise ConfigError("standard input cannot be read by `run`", where="sources", hint=hint)
    check_files([s for s in sources if s.mode == "once"])


def _refuse_followed(chosen: Chosen) -> None:
    followed = [s.name for s in chosen.config.collectors() if s.mode == "follow"]
    if followed:
        hint = 'write mode = "once", or leave --once away'
        raise ConfigError(f"--once would never end: {', '.join(followed)} is followed", where="sources", hint=hint)


def kafka_of(chosen: Chosen) -> str:
    """Kafka's address.

    Raises:
        ServerError: a server is to be the embedded one, which does not run.
    """
    own = embedded(chosen)
    config = chosen.config
    if own is None and not config.kafka.address:
        raise ServerError(
            "the embedded servers do not run",
            where=str(DataPaths(config.data.absolute()).servers),
            hint="start `aupstream up` on this data folder, or set kafka.bootstrap",
        )
    return config.kafka.address or ("" if own is None else own.kafka)
