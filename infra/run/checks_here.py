"""What `aupstream doctor` looks at of this machine's processes: those that run, and what is in the way of others."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from infra.config import Config
from infra.run.checks import Check
from infra.run.drain import FRESH_S, statuses
from infra.run.health import OFF
from infra.run.lastwords import stopped
from infra.run.paths import DataPaths
from infra.run.roll import called
from schemas.errors import AupstreamError
from streams.listen.settings import Address, ListenerConfig
from streams.listen.tls import Certificates
from streams.positions import PositionFile


def workers(config: Config) -> Iterator[Check]:
    """Who has told of itself lately, who ought to have, and what of its logs is wrong."""
    paths = DataPaths(config.data.absolute())
    told, unread = list(statuses(paths.status)), {name for name, _ in _damaged(config)}
    wanted = called(paths.roll)
    if not told and not wanted:
        yield Check("workers", "unknown", "nothing runs on this data folder", "")
    for status in told:
        for name, source in status.get("sources", {}).items():
            if not (problem := source.get("problem")) or name in unread:
                continue
            yield Check(f"source {name}", "bad", problem, "see `aupstream status` and the log of the collectors")
        refused_now = sum(f.get("refused", 0) for f in status.get("inputs", {}).values())
        if refused_now:
            detail = f"{status['worker']} refused {refused_now} messages"
            yield Check("workers", "warning", detail, "see its log: who else may write to these topics?")
    for name, log, why in stopped(paths, {str(s["worker"]) for s in told}):
        detail = f"{name} ought to run and has not told of itself for {FRESH_S:.0f} s"
        todo = f"see {log}; just after a start wait a minute and look again"
        yield Check("workers", "bad", f"{detail}{f'; its last error: {why}' if why else ''}", todo)
    if told:
        yield Check("workers", "ok", f"{len(told)} run: {', '.join(sorted(s['worker'] for s in told))}")


def positions(config: Config) -> Iterator[Check]:
    """Saved positions of sources that cannot be read: such a source does not go on."""
    for name, error in _damaged(config):
        yield Check(f"source {name}", "bad", f"{error.where}: {error.what}", error.hint)


def _damaged(config: Config) -> Iterator[tuple[str, AupstreamError]]:
    folder = DataPaths(config.data.absolute()).positions
    for source in config.collectors():
        try:
            PositionFile(folder, source.name).load()
        except AupstreamError as error:
            yield source.name, error


def listeners(config: Config) -> Iterator[Check]:
    """Certificates that cannot be used and, before the start, addresses that somebody else has."""
    paths = DataPaths(config.data.absolute())
    running = {str(s["worker"]) for s in statuses(paths.status)}
    configured: list[ListenerConfig] = []
    try:
        configured = config.listening()
    except AupstreamError as error:
        yield Check("listeners", "bad", str(error).splitlines()[0], "correct what it names")
    for listener in configured:
        name = f"listener {listener.name}"
        if listener.certificate is not None and listener.key is not None:
            try:
                Certificates(listener)
            except AupstreamError as error:
                named = ", ".join(str(p) for p in (listener.certificate, listener.key, listener.client_ca) if p)
                yield Check(name, "bad", f"{error.what} ({named})", error.hint)
        for address in listener.addresses if "listen" not in running else ():
            yield from _held(name, address)
    listen = config.health.listen
    if listen not in ("", OFF) and not running and called(paths.roll) is None:
        host, _, port = listen.rpartition(":")
        yield from _held("health.listen", Address("tcp", host.strip("[]"), int(port)))


def _held(name: str, address: Address) -> Iterator[Check]:
    """That an address cannot be listened on, which is let go at once.

    Who asks may be another account or on another machine than who is to listen: that is told as a doubt.
    """
    kind = socket.SOCK_DGRAM if address.scheme == "udp" else socket.SOCK_STREAM
    try:
        family, _, _, _, place = socket.getaddrinfo(address.host, address.port, type=kind)[0]
        with socket.socket(family, kind) as tried:
            if family == socket.AF_INET6:
                tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == socket.SOCK_STREAM:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(place)
            if kind == socket.SOCK_STREAM:
                tried.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            todo = "end what listens there, or name another port"
            yield Check(name, "bad", f"{address}: another program listens there", todo)
        else:
            todo = "if it is this account that listens, and on this machine, name another"
            yield Check(name, "warning", f"{address} cannot be listened on: {error.strerror}", todo)
    except OverflowError as error:
        yield Check(name, "bad", f"{address} cannot be listened on: {error}", "name a port up to 65535")
