"""Makes faults happen to a running system, and ends them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.settings import AGENTS
from infra.embedded import EmbeddedServers
from infra.run.system import System
from tests.chaos.plan import SERVERS, Fault
from tests.chaos.proxy import Proxy
from tests.chaos.shim import Shim

_NETWORK = ("cut", "slow", "half-open")
_JOINED = 1  # number of the worker that joins and leaves again


@dataclass(slots=True)
class _Active:
    fault: Fault
    over_s: float
    pid: int | None


class Chaos:
    """Call `step` often, beside what starts again whoever ended.

    Args:
        system: Started.
        servers: Started.
        proxies: Between everybody and each server.
        shim: Where there is one, preloaded into every process.
        faults: The plan.
        say: Told what is done, a sentence a time.
    """

    def __init__(
        self,
        system: System,
        servers: EmbeddedServers,
        proxies: dict[str, Proxy],
        shim: Shim | None,
        faults: Sequence[Fault],
        say: Callable[[str], None],
    ) -> None:
        self._system, self._servers, self._proxies, self._shim, self._say = system, servers, proxies, shim, say
        self._due = list(faults)
        self._active: list[_Active] = []
        self._began = time.monotonic()
        self.done: list[Fault] = []

    @property
    def over(self) -> bool:
        """True where every fault has been made and is over."""
        return not self._due and not self._active

    @property
    def full(self) -> set[str]:
        """Parts whose disk is full now."""
        return {a.fault.victim for a in self._active if a.fault.kind == "disk-full"}

    def step(self) -> None:
        """Begin what is due, end what is over. A kill waits until there is somebody to kill."""
        now = time.monotonic() - self._began
        for active in [a for a in self._active if a.over_s <= now]:
            self._active.remove(active)
            self._end(active)
        for fault in [f for f in self._due if f.at_s <= now]:
            if self._begin(fault, now):
                self._due.remove(fault)
                self.done.append(fault)
        for active in self._active:  # whoever came in the victim's place has the same disk and the same clock
            self._distort(active.fault, on=True)

    def heal(self) -> None:
        """End everything at once."""
        self._due.clear()
        while self._active:
            self._end(self._active.pop())

    def _begin(self, fault: Fault, now: float) -> bool:
        pid = self._pid(fault.victim)
        if fault.kind in ("kill", "pause") and pid is None:
            return False
        active = _Active(fault, now + fault.lasts_s, pid)
        if fault.kind == "kill" and pid is not None:
            _signal(pid, signal.SIGKILL)
        elif fault.kind == "pause" and pid is not None:
            _signal(pid, signal.SIGSTOP)
        elif fault.kind == "join":
            if f"{fault.victim}-{_JOINED}" in self._system.processes.starts:
                return False  # until the one that joined before has left
            self._system.start_worker(fault.victim, _JOINED)
        elif fault.kind == "replace":
            self._replace()
        elif fault.kind in _NETWORK:
            self._proxies[fault.victim].mode(fault.kind)
        self._say(f"{now:6.1f} s  {fault.kind} {fault.victim}{f' ({pid})' if pid else ''}{_more(fault)}")
        if fault.lasts_s:
            self._active.append(active)
        return True

    def _end(self, active: _Active) -> None:
        fault = active.fault
        if fault.kind == "pause" and active.pid is not None:
            _signal(active.pid, signal.SIGCONT)
        elif fault.kind == "join":
            self._system.processes.remove(f"{fault.victim}-{_JOINED}")
        elif fault.kind in _NETWORK:
            others = [a.fault.kind for a in self._active if a.fault.kind in _NETWORK and a.fault.victim == fault.victim]
            self._proxies[fault.victim].mode(others[-1] if others else "open")
        else:
            self._distort(fault, on=False)
        self._say(f"{time.monotonic() - self._began:6.1f} s  {fault.kind} {fault.victim} is over")

    def _distort(self, fault: Fault, *, on: bool) -> None:
        if self._shim is None or fault.kind not in ("clock", "disk-full"):
            return
        for pid in self._pids(fault.victim):
            if fault.kind == "clock":
                self._shim.clock(pid, fault.clock_s if on else 0)
            else:
                self._shim.full(pid, full=on)

    def _replace(self) -> None:
        workers = [name for name in self._system.processes.starts if name.rpartition("-")[0] in AGENTS]
        for name in workers:
            agent, _, number = name.rpartition("-")
            self._system.processes.remove(name)
            self._system.start_worker(agent, int(number))

    def _pids(self, victim: str) -> list[int]:
        if victim in SERVERS:
            pid = self._servers.pids.get(victim)
            return [] if pid is None else [pid]
        pids = self._system.processes.pids
        return [pid for name, pid in sorted(pids.items()) if name == victim or name.rpartition("-")[0] == victim]

    def _pid(self, victim: str) -> int | None:
        return next(iter(self._pids(victim)), None)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _more(fault: Fault) -> str:
    return (f" by {fault.clock_s:+d} s" if fault.clock_s else "") + (f" for {fault.lasts_s} s" if fault.lasts_s else "")
