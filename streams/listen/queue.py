"""From the event loop to a spool: what connections bring is gathered, and written in one go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from schemas import metrics as names
from schemas.errors import InputError
from schemas.metrics import Metrics
from streams.listen.settings import Fsync
from streams.listen.spool_write import SpoolWriter

log = logging.getLogger(__name__)

MAX_WAITING = 8 << 20  # bytes of datagrams that wait for the disk; what comes beyond them is dropped
LOOK_S = 0.5  # between two looks at what the reader has removed
RETRY_S = 1.0

Done = Callable[[], None]


class SpoolQueue:
    """Gathers lines of one source and writes them, in the order in which they were offered.

    Memory: what connections have brought and wait for (each has one portion on its way, and is not read meanwhile), and
    `MAX_WAITING` bytes of datagrams. A full spool or disk holds up connections and drops datagrams.

    Args:
        source: Its name.
        writer: Its spool.
        fsync: See `ListenerConfig`.
        interval_ms: See there.
        metrics: Counted into.
    """

    def __init__(self, source: str, writer: SpoolWriter, fsync: Fsync, interval_ms: int, metrics: Metrics) -> None:
        self.problem: InputError | None = None
        self.source = source
        self._writer, self._fsync, self._interval_s = writer, fsync, interval_ms / 1_000
        self._metrics = metrics
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._callbacks: list[Done] = []
        self._wake = asyncio.Event()
        self._over = False
        self._looked_s = self._synced_s = 0.0

    @property
    def takes_datagrams(self) -> bool:
        """False where one more would have to wait longer than there is room for."""
        return self.problem is None and self._bytes < MAX_WAITING

    def offer(self, data: bytes, done: Done | None = None) -> None:
        """Add whole lines.

        Args:
            data: Lines with their ends.
            done: Called when they are written, and with `always` synced.
        """
        self._waiting.append(data)
        self._bytes += len(data)
        if done is not None:
            self._callbacks.append(done)
        self._wake.set()

    async def run(self) -> None:
        """Write until `stop`, and what is waiting then."""
        await self._until_it_works(self._writer.open)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s if self._fsync == "interval" else LOOK_S):
                    await self._wake.wait()
            self._wake.clear()
            if self._waiting:
                await self._write_all()
            elif self._over:
                break
            await self._keep_up()
        await self._once(self._writer.sync)
        self._writer.close()

    def stop(self) -> None:
        """Nothing more is offered: write what is here and end; what cannot be written is given up."""
        self._over = True
        self._wake.set()

    async def _write_all(self) -> None:
        """Write what is waiting: one write and at most one sync for all who wait."""
        waiting, self._waiting = self._waiting, []
        callbacks, self._callbacks = self._callbacks, []
        data = b"".join(waiting)
        waiting.clear()
        await self._until_room()
        written = await self._until_it_works(lambda: self._writer.write(data))
        if written and self._fsync == "always":  # apart: tried again, what is written must not be written twice
            written = await self._until_it_works(self._writer.sync)
        if written:
            for done in callbacks:
                done()
        self._bytes -= len(data)

    async def _until_room(self) -> None:
        """Wait until the reader has removed something, where the spool is full."""
        while self._writer.room <= 0 and not self._over:
            await self._once(self._writer.look)
            if self._writer.room > 0:
                break
            self._say(
                InputError(
                    f"the spool is full ({self._writer.bytes} bytes): connections wait, datagrams are dropped",
                    where=f"sources.{self.source}",
                    hint="see why the collector does not keep up, or set spool_mb of the listener higher",
                )
            )
            await asyncio.sleep(LOOK_S)

    async def _until_it_works(self, write: Callable[[], None]) -> bool:
        """Try until the disk takes it; False where it was told to stop before."""
        while not await self._once(write):
            if self._over:
                return False
            await asyncio.sleep(RETRY_S)
        self._say(None)
        return True

    async def _once(self, write: Callable[[], None]) -> bool:
        try:
            await asyncio.to_thread(write)
        except OSError as error:
            self._say(
                InputError(
                    f"the spool cannot be written ({error.strerror}): connections wait, datagrams are dropped",
                    where=f"sources.{self.source}",
                    hint="make room, or give the listener's user leave to write there; it goes on by itself",
                )
            )
            return False
        return True

    async def _keep_up(self) -> None:
        """Sync and count, now and then."""
        now = time.monotonic()
        if self._fsync == "interval" and now - self._synced_s >= self._interval_s:
            self._synced_s = now
            await self._once(self._writer.sync)
        if now - self._looked_s >= LOOK_S:
            self._looked_s = now
            await self._once(self._writer.look)
            self._metrics.set(names.SPOOL_BYTES, self._writer.bytes, source=self.source)
            age = 0.0 if self._writer.oldest_s is None else max(0.0, time.time() - self._writer.oldest_s)
            self._metrics.set(names.SPOOL_AGE, age, source=self.source)
            self._metrics.set(names.SPOOL_WAITING, self._bytes, source=self.source)

    def _say(self, problem: InputError | None) -> None:
        if str(problem or "") != str(self.problem or ""):
            log.warning(
                "%s", problem or f"the spool of source {self.source} is written again", extra={"source": self.source}
            )
        self.problem = problem
