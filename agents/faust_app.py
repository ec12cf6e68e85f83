"""The one module that imports Faust: runs the stages of one agent as a Faust app.

Importing Faust reads `sys.argv` and replaces modules, so this module is imported last, by a worker process only.

What this guards against (all of it seen on faust-streaming 0.15):

- Offsets that Faust commits are not the truth; the snapshot's applied offset is. Repeats are skipped, gaps read again.
- No Faust tables: with one, a rebalance on a backlog loses messages. Snapshots are on a compacted topic of our own.
- A failed send raises only where its future is awaited; checkpoints await all of them before they write.
- An exception in an agent would restart it and the message would never come back: crash only, the supervisor restarts.
- A process that slept longer than its session may have been replaced: it ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

sys.argv = sys.argv[:1]  # Faust parses it when it is imported

import faust  # noqa: E402
from faust.types import TP  # noqa: E402

from agents.delivery.faust_settings import Token, faust_settings  # noqa: E402
from agents.delivery.journey import Journey, Seen  # noqa: E402
from agents.delivery.owning import take_over  # noqa: E402
from agents.delivery.snapshots import Place, Writer, read_state  # noqa: E402
from agents.delivery.stage import Message, Output, Stage  # noqa: E402
from agents.delivery.stalls import Ends, Stalls, client_gone  # noqa: E402
from agents.delivery.status import write_status  # noqa: E402
from agents.delivery.watchdog import Watchdog, crash  # noqa: E402
from agents.settings import INPUTS, AgentSettings  # noqa: E402
from schemas import metrics  # noqa: E402
from schemas.kafkaaddress import OAUTH, KafkaAddress  # noqa: E402
from schemas.kinds import state_topic  # noqa: E402

log = logging.getLogger("aupstream.agent")
TICK_S = 0.1
LIVES_S = 10.0  # tasks that did not run for longer do not run
StageFactory = Callable[[str, int], Stage]
T = TypeVar("T")


@dataclass(slots=True)
class Slot:
    """One assigned input partition."""

    stage: Stage
    journey: Journey
    writer: Writer
    next: int
    unacked: deque[tuple[int, Any]] = field(default_factory=deque)
    saved: int = -1
    first_save: bool = True
    cleanup: list[Output] = field(default_factory=list)


class Runtime:
    """Feeds stages with messages, sends what they return, and checkpoints."""

    def __init__(
        self, app: Any, agent: str, settings: AgentSettings, make: StageFactory, name: str, seen: Seen
    ) -> None:
        self._app, self._agent, self._settings, self._make, self._name = app, agent, settings, make, name
        self._seen, self.kafka = seen, settings.kafka
        self._slots: dict[TP, Slot] = {}
        self._lock = asyncio.Lock()  # around {change state, hand outputs to the producer} and around capture
        self._checkpointing = asyncio.Lock()
        self._sent: list[asyncio.Future[Any]] = []  # since the last checkpoint
        self._awaited: list[asyncio.Future[Any]] = []  # of the checkpoint that is being made
        self._topics: dict[str, Any] = {}
        self._state_topic = state_topic(agent)
        self._stopping = False
        self.joined = False  # the group has said which partitions are this worker's
        self.busy_since: float | None = None  # when the step of a stage began that is going on
        self.looked_s = 0.0  # when this worker's tasks ran last: Faust starts them after it has its partitions
        self.handled = 0
        self.checkpoint_s = 0.0
        self.checkpoint_at = time.time()

    async def on_event(self, event: Any) -> None:
        """One message: skip a repeat, go back for a gap, else handle it."""
        tp = TP(event.message.topic, event.message.partition)
        offset = event.message.offset
        async with self._lock:
            slot = self._slots.get(tp)
            if slot is None or self._stopping:
                return  # revoked while it waited in a queue, or after the last checkpoint: its next owner reads it
            if offset < slot.next:
                event.ack()
                return
            if offset > slot.next:
                await self._truncated(tp, slot)
            if offset > slot.next:
                await self._go_back(tp, slot, offset)
                return
            end = self._app.consumer.highwater(tp)
            more = end is not None and end > offset + 1
            message = Message(
                tp.topic, tp.partition, offset, event.message.value or b"", event.message.headers or (), None, more
            )
            outputs = await self._step(slot.journey.handle, slot.stage, message)
            slot.next = offset + 1
            slot.unacked.append((offset, event))
            self.handled += 1
            await self._send(outputs, self._sent)

    async def _step(self, work: Callable[..., T], *given: Any) -> T:
        """Let a stage work, in a thread. Only with the lock: one at a time."""
        self.busy_since = time.monotonic()
        try:
            return await asyncio.to_thread(work, *given)
        finally:
            self.busy_since = None

    async def _truncated(self, tp: TP, slot: Slot) -> None:
        """See whether what is next is gone by retention; if so, the oldest message that is there is next."""
        earliest = (await self._app.consumer.earliest_offsets(tp))[tp]
        if earliest <= slot.next:
            return
        log.error(
            "%s/%s: messages %s to %s are gone by retention and were never read; results from here on may miss them",
            tp.topic,
            tp.partition,
            slot.next,
            earliest - 1,
        )
        # Not where the client happened to be: with lost state it goes on where the group was, which is far ahead.
        slot.next = earliest
        slot.stage.truncated()

    async def _go_back(self, tp: TP, slot: Slot, offset: int) -> None:
        log.warning("%s/%s: %s came where %s is next; reading again", tp.topic, tp.partition, offset, slot.next)
        consumer = self._app.consumer
        consumer._gap.pop(tp, None)  # noqa: SLF001  # a stale gap would book unread offsets as acknowledged
        await consumer.seek_wait({tp: slot.next})

    async def _send(self, outputs: Iterable[Output], sent: list[asyncio.Future[Any]]) -> None:
        """Hand to the producer; `sent` is the caller's list: a send may wait, and the list must still be awaited."""
        for o in outputs:
            topic = self._topics.get(o.topic)
            if topic is None:
                topic = self._topics[o.topic] = self._app.topic(o.topic, key_type=bytes, value_type=bytes)
            value = None if not o.value and o.topic == self._state_topic else o.value
            sent.append(
                await topic.send(key=o.key, value=value, partition=o.partition, headers=list(o.headers), force=True)
            )

    async def tick(self) -> None:
        """Let every stage do what became due.

        All of them in one step of the worker thread: on a busy machine a step for each of some 20 partitions, four
        times a second, waits longer for a processor than it works, and messages wait behind them.
        """
        async with self._lock:
            slots = [] if self._stopping else list(self._slots.values())
            await self._send(await self._step(_tick_all, slots, time.monotonic()), self._sent)

    async def checkpoint(self) -> None:
        """Save what is applied: sends first, then changed parts, then `meta`, then what that makes needless goes.

        At last acknowledge and commit.
        """
        async with self._checkpointing:
            if self._stopping:
                return  # the last one is made; Kafka's consumer may be closed already
            started = time.monotonic()
            async with self._lock:
                captured = await self._step(self._capture)
                self._awaited, self._sent = self._sent, []
            await asyncio.gather(*self._awaited)
            self._awaited = []
            if not captured:
                self.checkpoint_at = time.time()  # nothing to save: all is
                return
            lots = [slot.writer.checkpoint(parts) for slot, _, parts in captured]
            await self._write([o for parts, _, _ in lots for o in parts])
            await self._write([o for _, meta, _ in lots for o in meta])
            gone = [o for _, _, removals in lots for o in removals]
            await self._write(gone + [o for slot, _, _ in captured for o in slot.cleanup])
            for slot, applied, _ in captured:
                slot.saved, slot.first_save, slot.cleanup = applied, False, []
                while slot.unacked and slot.unacked[0][0] <= applied:
                    slot.unacked.popleft()[1].ack()
            await self._app.consumer.commit()
            self.checkpoint_s, self.checkpoint_at = time.monotonic() - started, time.time()

    def _capture(self) -> list[tuple[Slot, int, Mapping[str, bytes]]]:
        """What every slot that moved has applied, and its parts; in one hop to the worker thread."""
        due = [s for s in self._slots.values() if s.stage.applied > s.saved or s.first_save]
        return [(s, s.stage.applied, s.stage.snapshot()) for s in due]

    async def _write(self, outputs: list[Output]) -> None:
        written: list[asyncio.Future[Any]] = []
        await self._send(outputs, written)
        await asyncio.gather(*written)

    async def stop(self) -> None:
        """Save a last time; nothing is handled, sent or saved after."""
        self.joined = True  # what follows is no waiting for a group
        await self.checkpoint()
        async with self._checkpointing, self._lock:
            self._stopping = True

    async def revoked(self) -> None:
        """Partitions go away: save them, then forget them; their next owner reads what was saved."""
        self.joined = False
        await self.checkpoint()
        async with self._lock:
            slots, self._slots = self._slots, {}
        for slot in slots.values():
            await asyncio.to_thread(slot.stage.close)

    async def assigned(self) -> None:
        """Partitions are here, streams not yet running: take back what was saved of them."""
        self.joined = True
        mine = [tp for tp in self._app.consumer.assignment() if tp.topic in INPUTS[self._agent]]
        places = [Place(tp.topic, tp.partition) for tp in mine if tp not in self._slots]
        if not places:
            return
        s = self._settings
        found = await asyncio.to_thread(read_state, s.kafka, self._state_topic, s.state_partitions, places)
        taken = await asyncio.to_thread(take_over, s.kafka, self._agent, found, self._make)
        made: dict[TP, Slot] = {}
        for place in places:
            held = taken[place]
            self._seen.metrics.add(metrics.STATE_REBUILT, bool(held.faults), agent=self._agent)
            stage, writer = held.stage, Writer(self._state_topic, s.state_partitions, place, held.epoch)
            journey = Journey(self._agent, place.topic, place.partition, self._seen.traces, self._seen.metrics)
            slot = Slot(stage, journey, writer, stage.applied + 1, saved=stage.applied)
            slot.cleanup = writer.forget(found[place])
            made[TP(place.topic, place.partition)] = slot
        async with self._lock:
            self._slots.update(made)
        # Faust goes on where the group has come to: with a state that is rebuilt that is not where we go on.
        consumer = self._app.consumer
        await consumer._commit({tp: slot.next for tp, slot in made.items()})  # noqa: SLF001  # `commit` knows acks only
        log.info("%s: %s", self._name, {f"{tp.topic}/{tp.partition}": s.next for tp, s in made.items()})

    def figures(self) -> dict[str, Any]:
        """What the status file says of this worker."""
        slots = {}
        for tp, slot in self._slots.items():
            told = {"next": slot.next, "applied": slot.stage.applied, "saved": slot.saved, "end": self._end(tp)}
            slots[f"{tp.topic}/{tp.partition}"] = {**told, **slot.stage.figures()}
        return {
            "agent": self._agent,
            "worker": self._name,
            "pid": os.getpid(),
            "handled": self.handled,
            "sending": sum(not f.done() for f in (*self._sent, *self._awaited)) + self._lock.locked(),
            "checkpoint_s": round(self.checkpoint_s, 4),
            "checkpoint_at": self.checkpoint_at,
            "metrics": self._seen.metrics.snapshot(),
            "inputs": slots,
        }

    def _end(self, tp: TP) -> int | None:
        """End of an input partition; None where it is not known, or was taken away a moment ago."""
        try:
            return self._app.consumer.highwater(tp) if self._app.consumer else None
        except AssertionError:  # aiokafka's way to say that it is not assigned
            return None

    def taken(self) -> dict[Place, int]:
        """Next offset of every partition that it has; asked by the watchdog, from its own thread."""
        return {Place(tp.topic, tp.partition): slot.next for tp, slot in list(self._slots.items())}

    def lives(self) -> bool:
        """Whether it has its partitions, and its tasks run; asked by the watchdog."""
        return self.joined and time.monotonic() - self.looked_s < LIVES_S

    def broken(self) -> str | None:
        """See `client_gone`; asked by the watchdog."""
        return None if self._stopping else client_gone(self._app.consumer)


def build(
    agent: str, instance: int, settings: AgentSettings, make: StageFactory, home: Path, seen: Seen | None = None
) -> Any:
    """The Faust app of one agent.

    Args:
        agent: One of `AGENTS`.
        instance: Number of the worker among those of this agent: its static group membership.
        settings: What the process was told.
        make: Makes the stage of an input partition.
        home: Folder for Faust's own files; its parent exists.
        seen: What the process counts and traces; None: nothing of it is asked for.
    """
    app = _App(
        f"aup-{agent}",
        datadir=str(home),
        broker_credentials=credentials(KafkaAddress.of(settings.kafka)),
        **faust_settings(f"{agent}-{instance}", settings),
    )
    name = f"{agent}-{instance}"
    runtime = Runtime(app, agent, settings, make, name, seen or Seen())
    app.aup_runtime = runtime
    source = app.topic(*INPUTS[agent], key_type=bytes, value_type=bytes)

    @app.agent(source, name=f"{agent}_inputs")
    async def consume(stream: Any) -> None:
        async for event in stream.noack().events():
            await _or_crash("handling a message failed", runtime.on_event(event))

    @app.on_partitions_revoked.connect(weak=False)
    async def revoked(*_: Any, **__: Any) -> None:
        await _or_crash("saving at a rebalance failed", runtime.revoked())

    @app.on_rebalance_complete.connect(weak=False)
    async def assigned(*_: Any, **__: Any) -> None:
        await _or_crash("restoring at a rebalance failed", runtime.assigned())

    _add_tasks(app, runtime, settings)
    return app


def credentials(address: KafkaAddress) -> Any:
    """How Faust comes in; None without TLS and login.

    Raises:
        ConfigError: a file cannot be read.
    """
    context = address.context()
    if address.mechanism == OAUTH:
        return faust.OAuthCredentials(oauth_cb=Token(address), ssl_context=context)
    if address.mechanism:
        login = {"username": address.user, "password": address.password(), "mechanism": address.mechanism}
        return faust.SASLCredentials(**login, ssl_context=context)
    return None if context is None else faust.SSLCredentials(context)


class _App(faust.App):
    """Faust's shutdown sends no revoked signal: save before it."""

    aup_runtime: Runtime

    async def on_stop(self) -> None:
        await _or_crash("saving at shutdown failed", self.aup_runtime.stop())
        await super().on_stop()


def _tick_all(slots: Iterable[Slot], now_s: float) -> list[Output]:
    return [output for slot in slots for output in slot.journey.tick(slot.stage, now_s)]


async def _or_crash(what: str, work: Awaitable[Any]) -> None:
    try:
        await work
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001  # Polars panics are BaseException
        crash(what, error)


def _add_tasks(app: Any, runtime: Runtime, settings: AgentSettings) -> None:
    @app.task  # type: ignore[untyped-decorator]  # Faust's app is untyped here
    async def ticking() -> None:
        while not app.should_stop:
            await asyncio.sleep(TICK_S)
            await _or_crash("a timed step failed", runtime.tick())

    @app.task  # type: ignore[untyped-decorator]  # Faust's app is untyped here
    async def checkpoints() -> None:
        while not app.should_stop:
            await asyncio.sleep(settings.checkpoint_s)
            await _or_crash("a checkpoint failed", runtime.checkpoint())

    @app.task  # type: ignore[untyped-decorator]  # Faust's app is untyped here
    async def watch() -> None:
        before = time.monotonic()
        while not app.should_stop:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            if now - before > 0.7 * settings.session_timeout_s:
                crash(f"the process slept {now - before:.1f} s; it may have been replaced meanwhile")
            before = runtime.looked_s = now
            if settings.status:
                write_status(settings.status, runtime.figures())


def run(app: Any) -> None:
    """Run the worker until SIGTERM; returns never."""
    runtime = app.aup_runtime
    stalls = Stalls(runtime.taken, Ends(runtime.kafka), lambda: runtime.busy_since)
    Watchdog(runtime.lives, lambda: runtime.broken() or stalls.look(), crash).start()
    worker = faust.Worker(app, loglevel="WARNING", redirect_stdouts=False, quiet=True, override_logging=False)
    worker.spinner = None  # it writes its escapes between the lines of the log
    worker.execute_from_commandline()
