"""One supervised part: a child process, the ports it needs, how to prepare it and how to ask whether it is ready."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from infra.embedded import ports as port_numbers
from infra.embedded.child import Child, ChildSpec
from infra.embedded.errors import EmbeddedError, PortTakenError, StartError
from infra.embedded.logs import tail

_FIRST_PAUSE_SEC: Final = 0.5
_LONGEST_PAUSE_SEC: Final = 30.0
_STEADY_AFTER_SEC: Final = 60.0


@dataclass
class Part:
    """Mutable state around a frozen `ChildSpec`. Not thread-safe: its owner calls from one thread at a time."""

    spec: ChildSpec
    port: int
    """The port that clients use."""
    ports: tuple[int, ...]
    """All ports that it listens on."""
    before: Callable[[], None]
    """Runs before every start of the process; may raise `EmbeddedError`."""
    probe: Callable[[], tuple[bool, str]]
    """Asks as a client would: ready or not, and why not."""

    _child: Child | None = field(default=None, init=False)
    _log_offset: int = field(default=0, init=False)
    _started_at: float = field(default=0.0, init=False)
    _pause_sec: float = field(default=_FIRST_PAUSE_SEC, init=False)
    _next_try: float = field(default=0.0, init=False)

    @property
    def pid(self) -> int | None:
        """Process id of the last start."""
        return self._child.pid if self._child is not None and self.is_alive() else None

    @property
    def log(self) -> Path:
        """Where it writes."""
        return self.spec.log

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.exit_code() is None

    def is_ready(self) -> tuple[bool, str]:
        """Ready or not, and why not. Blocks for a second or two at most."""
        return self.probe()

    def start(self) -> None:
        """Prepare and start the process; does not wait until it is ready.

        Raises `EmbeddedError`, `PortTakenError` among them.
        """
        for number in self.ports:
            if not port_numbers.is_free(number):
                raise PortTakenError(
                    f"port {number} of {self.spec.name} is taken by {port_numbers.holder_of(number)}",
                    where=f"{port_numbers.LOOPBACK}:{number}",
                    todo="Stop that process: clients already use this address, so it cannot be changed while they run.",
                )
        self.before()
        self._log_offset = self.log.stat().st_size if self.log.exists() else 0
        try:
            self._child = Child.start(self.spec)
        except OSError as error:
            raise StartError(
                f"{self.spec.name} cannot be run: {error}",
                where=self.spec.command[0],
                todo="Check that there is memory and disk left and that the package is installed completely.",
            ) from error
        self._started_at = time.monotonic()

    def poll(self) -> list[str]:
        """Start it again if it died and its pause is over; what happened, as sentences."""
        if self.is_alive():
            if time.monotonic() - self._started_at > _STEADY_AFTER_SEC:
                self._pause_sec = _FIRST_PAUSE_SEC
            return []
        happened = []
        if self._child is not None:
            happened.append(f"{self.spec.name} ended ({_ending(self._child.exit_code())})")
            self._child = None
            self._next_try = 0.0 if time.monotonic() - self._started_at > _STEADY_AFTER_SEC else self._later()
        if time.monotonic() < self._next_try:
            return happened
        try:
            self.start()
        except EmbeddedError as error:
            self._next_try = self._later()
            return [*happened, f"{self.spec.name} cannot be started again: {error}"]
        return [*happened, f"{self.spec.name} was started again as process {self.pid} on port {self.port}"]

    def stop(self) -> None:
        """Stop the process and wait until it is gone. Idempotent."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def start_error(self, what: str) -> StartError:
        """An error about this part with the end of its log."""
        return StartError(
            f"{self.spec.name} {what}. The end of its log:\n{tail(self.log, self._log_offset)}\n",
            where=str(self.log),
            todo="The log says why. Start again when that is repaired.",
        )

    def _later(self) -> float:
        """When to try next; every call doubles the pause, up to half a minute."""
        self._pause_sec = min(2 * self._pause_sec, _LONGEST_PAUSE_SEC)
        return time.monotonic() + self._pause_sec / 2


def _ending(code: int | None) -> str:
    if code is None:
        return "no exit code"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
