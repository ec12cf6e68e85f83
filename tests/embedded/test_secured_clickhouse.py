"""ClickHouse over TLS: the DSN says so, and a certificate that is not trusted is named."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from clickhouse_driver import Client
from clickhouse_driver.errors import NetworkError

from agents.sinks.clickhouse import ClickHouse
from infra.embedded.ports import LOOPBACK
from schemas.errors import RetryableError
from tests.embedded.servers_fixture import RunningServers

pytestmark = [pytest.mark.servers]


class Terminator:
    """Takes TLS and passes on what is in it, as a proxy before a server does."""

    def __init__(self, context: ssl.SSLContext, port: int) -> None:
        self._context, self._target = context, port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port = server.sockets[0].getsockname()[1]

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connection, LOOPBACK, 0, ssl=self._context)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(LOOPBACK, self._target)

        async def passed(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while piece := await source.read(1 << 16):
                target.write(piece)
                await target.drain()
            target.close()

        await asyncio.gather(passed(reader, back), passed(there, writer), return_exceptions=True)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


@pytest.fixture
def secured(embedded_servers: RunningServers, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A DSN by TLS without its settings, and the file of the authority."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(LOOPBACK).configure_cert(context)
    plain = embedded_servers.endpoints.clickhouse
    port = int(plain.rpartition(":")[2].partition("/")[0])
    terminator = Terminator(context, port)
    try:
        dsn = plain.replace(f":{port}", f":{terminator.port}").replace("clickhouse://", "clickhouses://")
        yield dsn, str(tmp_path / "ca.pem")
    finally:
        terminator.stop()


def test_a_store_is_reached_by_tls(secured: tuple[str, str]) -> None:
    dsn, authority = secured
    store = ClickHouse(f"{dsn}?ca_certs={authority}", threading.Event())
    assert store.execute("SELECT 40 + 2") == [(42,)]
    store.close()


def test_a_certificate_that_is_not_trusted_is_refused_and_named(secured: tuple[str, str]) -> None:
    dsn, _ = secured
    with pytest.raises(NetworkError, match="CERTIFICATE_VERIFY_FAILED"):
        Client.from_url(dsn).execute("SELECT 1")
    stop = threading.Event()
    stop.set()  # do not wait for the server to become another
    with pytest.raises(RetryableError, match=r"ClickHouse does not answer: .*certificate verify failed"):
        ClickHouse(dsn, stop).execute("SELECT 1")
