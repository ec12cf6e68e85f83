"""A TCP proxy on loopback whose network can be cut, slowed and left half open while connections go through it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Self

_PIECE = 1 << 16
SLOW_DELAY_S = 0.15  # a piece, each way
SLOW_PIECE = 1 << 14  # 100 KiB/s
MODES = ("open", "slow", "half-open", "cut")


class Proxy:
    """Passes connections on. A thread of its own; `mode` may be called from any thread.

    Modes: `open`; `slow`: small pieces, each late; `half-open`: nothing gets through and no connection is closed, as
    where a cable is pulled; `cut`: all connections are reset and new ones are refused at once.

    Args:
        target: Port on loopback to pass on to, asked at every connection; 0: nobody is there.
    """

    def __init__(self, target: Callable[[], int]) -> None:
        self._target = target
        self._mode = "open"
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._go = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self.port = 0

    def start(self) -> Self:
        """Listen; `port` is then set."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def mode(self, mode: str) -> None:
        """Change what becomes of connections, those that stand included.

        Raises:
            ValueError: there is no such mode.
        """
        if mode not in MODES:
            raise ValueError(mode)
        asyncio.run_coroutine_threadsafe(self._change(mode), self._loop).result()

    def stop(self) -> None:
        """Close everything. Idempotent."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    async def _listen(self) -> None:
        self._go.set()
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _change(self, mode: str) -> None:
        self._mode = mode
        if mode == "half-open":
            self._go.clear()
        else:
            self._go.set()
        if mode == "cut":
            self._reset()

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        self._go.set()
        self._reset()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _reset(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()
        self._writers.clear()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._go.wait()
        if self._mode == "cut" or not (port := self._target()):
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, back}
        self._writers |= pair
        try:
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        finally:
            for end in pair:
                end.transport.abort()
            self._writers -= pair

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(SLOW_PIECE if self._mode == "slow" else _PIECE):
                if self._mode == "slow":
                    await asyncio.sleep(SLOW_DELAY_S)
                await self._go.wait()
                writer.write(piece)
                await writer.drain()
        writer.close()
