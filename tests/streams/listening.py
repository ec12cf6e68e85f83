"""A listener in a thread of its own, talked to over real sockets, and what it has put into its spools."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import trustme

from schemas.metrics import Metric, Metrics
from streams.listen.listener import Listener
from streams.listen.settings import Address, ListenerConfig, Route
from streams.sources.spool import SpoolSource, segments

WITHIN_S = 30.0
HEADER = b"<13>May  4 10:00:00 mx1 "


def wait_for(reached: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not reached():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def routes(folder: Path, *names: str) -> tuple[Route, ...]:
    return tuple(Route(name, "postfix", folder / name) for name in names or ("mail",))


def spooled(folder: Path, max_line_bytes: int = 65_536) -> list[bytes]:
    """All lines of a spool, as a collector reads them."""
    source = SpoolSource(folder, max_line_bytes)
    lines: list[bytes] = []
    while True:
        chunk = source.read(1_000, 0)
        if chunk is None and not source.busy:
            break
        if chunk is not None:
            lines += chunk.lines
    source.close()
    return lines


def no_claims(_: str) -> Callable[[bytes], bool]:
    return lambda _: False


class Running:
    """A listener that runs, and how to talk to it."""

    def __init__(self, config: ListenerConfig, claims: Callable[[str], Callable[[bytes], bool]]) -> None:
        self.metrics = Metrics()
        self.listener = Listener(config, claims, self.metrics, lambda: 1_777_888_999_000_000)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._do(self.listener.start())
        except BaseException:
            self._end()
            raise

    def _do(self, what: object) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(WITHIN_S)  # type: ignore[arg-type]

    def stop(self) -> None:
        try:
            self._do(self.listener.stop())
        finally:
            self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WITHIN_S)
        self._loop.close()

    def place(self, scheme: str) -> tuple[str, int]:
        address = next(a for a in self.listener.bound if a.scheme == scheme)
        return address.host, address.port

    def connect(self) -> socket.socket:
        return socket.create_connection(self.place("tcp"), timeout=WITHIN_S)

    def send(self, *parts: bytes) -> None:
        """Over a connection of its own."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)

    def value(self, metric: Metric, **labels: str) -> float:
        return self.metrics.value(metric, listener="syslog", **labels)


@contextmanager
def running(
    folder: Path,
    *schemes: str,
    to: Sequence[Route] = (),
    claims: Callable[[str], Callable[[bytes], bool]] = no_claims,
    **changes: object,
) -> Iterator[Running]:
    config = ListenerConfig(
        name="syslog",
        addresses=tuple(Address(s, "127.0.0.1", 0) for s in schemes or ("tcp",)),
        routes=tuple(to) or routes(folder),
        **changes,  # type: ignore[arg-type]
    )
    made = Running(config, claims)
    try:
        yield made
    finally:
        made.stop()


class Authority:
    """Certificates for a test: files of the server's, and a client's context."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.ca = trustme.CA()
        self.folder, self.name = folder, name
        self.file = folder / f"{name}.pem"
        self.ca.cert_pem.write_to_path(str(self.file))

    def server(self, stem: str = "server") -> tuple[Path, Path]:
        """Certificate and key, each replaced at once."""
        issued = self.ca.issue_cert("127.0.0.1")
        certificate, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        for path, blobs in ((key, [issued.private_key_pem]), (certificate, issued.cert_chain_pems)):
            new = path.with_suffix(".new")
            new.write_bytes(b"".join(blob.bytes() for blob in blobs))
            new.replace(path)
        return certificate, key

    def client(self, identity: trustme.CA | None = None) -> ssl.SSLContext:
        """Trusts this authority; with a certificate of `identity` where one is given."""
        context = ssl.create_default_context(cafile=str(self.file))
        if identity is not None:
            identity.issue_cert("sender@school.example").configure_cert(context)
        return context


def total_bytes(folder: Path) -> int:
    return sum(s.path.stat().st_size for s in segments(folder))
