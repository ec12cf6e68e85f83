"""What goes wrong when, from a seed alone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from agents.settings import AGENTS
from infra.run.system import COLLECT

SERVERS = ("kafka", "clickhouse")
EVERYONE = "agents"  # every worker of every agent, one after the other
PARTS = (COLLECT, *AGENTS, *SERVERS)
SECONDS_A_FAULT = 11.0  # on the average; faults may overlap
QUIET_S = 10.0  # at the start, so that there is something to break

# How long each lasts, seconds; None: a moment. A pause longer than the session time-out makes Kafka give the work away.
LASTS: dict[str, tuple[float, float] | None] = {
    "kill": None,
    "pause": (2.0, 18.0),
    "join": (10.0, 25.0),
    "replace": None,
    "cut": (2.0, 15.0),
    "slow": (5.0, 20.0),
    "half-open": (3.0, 15.0),
    "disk-full": (3.0, 12.0),
    "clock": (8.0, 25.0),
}
KINDS = tuple(LASTS)
PRELOADED = ("disk-full", "clock")  # need the shim
_VICTIMS: dict[str, Sequence[str]] = {
    "kill": PARTS,
    "pause": PARTS,
    "join": AGENTS,
    "replace": (EVERYONE,),
    "cut": SERVERS,
    "slow": SERVERS,
    "half-open": SERVERS,
    "disk-full": PARTS,
    "clock": PARTS,
}
_WEIGHTS = {"kill": 3, "pause": 2}  # all others once


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        at_s: Seconds after the start of the workload.
        kind: One of `KINDS`.
        victim: A part; for the network, the server that cannot be reached.
        lasts_s: Seconds until it is over; 0 for a moment.
        clock_s: How far a clock is put forward, or back where negative; 0 for other faults.
    """

    at_s: float
    kind: str
    victim: str
    lasts_s: float = 0.0
    clock_s: int = 0

    def __str__(self) -> str:
        lasts = f" for {self.lasts_s:.1f} s" if self.lasts_s else ""
        clock = f" by {self.clock_s:+d} s" if self.clock_s else ""
        return f"{self.at_s:6.1f} s  {self.kind} {self.victim}{clock}{lasts}"


def plan(seed: int, seconds: float, kinds: Sequence[str] = KINDS) -> tuple[Fault, ...]:
    """Faults in the order of their beginning. The same arguments give the same plan.

    Args:
        seed: Any whole number.
        seconds: Length of the workload.
        kinds: Those that this machine can do.
    """
    chance = random.Random(seed)
    number = max(len(kinds), round((seconds - QUIET_S) / SECONDS_A_FAULT))
    chosen: list[tuple[str, str]] = []
    victims = {kind: _shuffled(chance, _VICTIMS[kind], number) for kind in KINDS}
    while len(chosen) < number:  # every kind before any comes again
        turn = [kind for kind in kinds for _ in range(_WEIGHTS.get(kind, 1) if chosen else 1)]
        chance.shuffle(turn)
        chosen += [(kind, victims[kind].pop()) for kind in turn]
    moments = sorted(round(chance.uniform(QUIET_S, seconds), 1) for _ in range(number))
    return tuple(_fault(chance, at, *what) for at, what in zip(moments, chosen[:number], strict=True))


def _shuffled(chance: random.Random, victims: Sequence[str], number: int) -> list[str]:
    """Every victim before any comes again; more than will be needed."""
    made: list[str] = []
    while len(made) < 3 * number:
        made += chance.sample(victims, len(victims))
    return made


def _fault(chance: random.Random, at: float, kind: str, victim: str) -> Fault:
    span = LASTS[kind]
    lasts = round(chance.uniform(*span), 1) if span else 0.0
    clock = chance.choice((-1, 1)) * chance.choice((7, 90, 3_700, 90_000)) if kind == "clock" else 0
    return Fault(at, kind, victim, lasts, clock)


def by_kind(faults: Sequence[Fault]) -> dict[str, int]:
    """How many of each kind."""
    counted = Counter(fault.kind for fault in faults)
    return {kind: counted[kind] for kind in KINDS if counted[kind]}
