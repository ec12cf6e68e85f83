"""Squid's access log, native and combined, a column at a time.

Native is `%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt`, combined is
`%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" %Ss:%Sh` (squid.conf, `logformat`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from infra.simulate.day import CLOCK, Day
from infra.simulate.draw import Draw, Ints
from infra.simulate.lines import MOST_LATE
from infra.simulate.squid_pools import AGENTS, NUMBERS, OUTCOMES, REQUESTS, Pools
from infra.simulate.truth import Broken
from infra.simulate.world import Device

PIECE = 200_000  # lines made at a time: bounds memory; chance is drawn by piece, so another size gives other bytes
_SLOWEST = 20_000  # milliseconds
_LARGEST = 400_000  # bytes


@dataclass(frozen=True)
class Clients:
    """Who asks: pieces by client number, in the order in which the clients arrive."""

    arrivals: Ints
    ip: pl.Series
    user: pl.Series

    @staticmethod
    def of(devices: Sequence[Device]) -> Clients:
        """Clients of these devices, at least one; whoever is nobody's device logs in as nobody."""
        ordered = sorted(devices, key=lambda d: (d.arrives, d.mac))
        return Clients(
            np.array([d.arrives for d in ordered], dtype=np.int64),
            pl.Series([f"{d.ip} " for d in ordered]),
            pl.Series([f"{d.owner or '-'} " for d in ordered]),
        )


@dataclass(frozen=True)
class Picked:
    """What was drawn for each line: milliseconds since midnight, and numbers into the pools."""

    at: Ints
    client: Ints
    request: Ints
    both: Ints  # request and outcome
    number: Ints
    size: Ints
    elapsed: Ints
    agent: Ints


@dataclass(frozen=True)
class Squid:
    """Writer of one proxy's log.

    Attributes:
        name: File name.
        day: The day.
        draw: Chance of this log alone.
        pools: Pieces of lines.
        clients: Who asks.
        combined: True for the combined format.
    """

    name: str
    day: Day
    draw: Draw
    pools: Pools
    clients: Clients
    combined: bool = False

    def write(self, path: Path, lines: int, broken: int, reason: str, told: Callable[[int], None]) -> list[Broken]:
        """Write the log.

        Args:
            path: File to make.
            lines: How many lines.
            broken: How many of them are cut off, so that they become dead letters.
            reason: Reason of those dead letters.
            told: Called with the number of lines of each piece written.

        Returns:
            The broken lines by number, from 1.
        """
        cut = sorted(self.draw.sample(lines, broken))
        with path.open("wb") as out:
            for first in range(0, lines, PIECE):
                last = min(first + PIECE, lines)
                _, text = self.piece(first, last, lines)
                self._put(out, text, [n - first for n in cut if first <= n < last])
                told(last - first)
        return [Broken(self.name, n + 1, reason) for n in cut]

    def piece(self, first: int, last: int, lines: int) -> tuple[Ints, pl.Series]:
        """Lines number `first` to `last` (excluded) of `lines`, with the milliseconds since midnight of each."""
        picked = self.pick(first, last, lines)
        return picked.at, self._compose(picked)

    def _put(self, out: BinaryIO, text: pl.Series, cut: list[int]) -> None:
        if cut:
            text = text.scatter(cut, [line[:21] for line in text.gather(cut).to_list()])
        text.to_frame("line").write_csv(out, include_header=False, quote_style="never", line_terminator="\n")

    def pick(self, first: int, last: int, lines: int) -> Picked:
        """Draw what is in lines number `first` to `last` (excluded) of `lines`."""
        draw, count = self.draw, last - first
        opens = int(self.clients.arrivals[0])
        at = self.day.spread(draw, first, last, lines, opens=opens)
        here = np.searchsorted(self.clients.arrivals, at // 1000, side="right").clip(min=1)
        late = np.where(draw.array(count, 50) == 0, draw.array(count, MOST_LATE * 1000), 0)
        request = self._popular(count)
        numbered = self.pools.numbered.gather(pl.Series(request)).to_numpy()
        return Picked(
            at=np.maximum(at - late, opens * 1000),
            client=draw.scaled(here),
            request=request,
            both=request * OUTCOMES + draw.array(count, OUTCOMES),
            number=numbered * (1 + draw.array(count, NUMBERS)),
            size=_skewed(draw, count, _LARGEST) + 300,
            elapsed=_skewed(draw, count, _SLOWEST),
            agent=draw.array(count, len(AGENTS)),
        )

    def _popular(self, count: int) -> Ints:
        """Requests, the first ones much more often than the last."""
        return _skewed(self.draw, count, REQUESTS)

    def _compose(self, picked: Picked) -> pl.Series:
        return self._combined(picked) if self.combined else self._native(picked)

    def _native(self, picked: Picked) -> pl.Series:
        pools, seconds = self.pools, picked.at // 1000
        return joined(
            pl.Series(self.day.midnight + seconds).cast(pl.String),
            _MILLIS.gather(pl.Series(picked.at - seconds * 1000)),
            _ELAPSED.gather(pl.Series(picked.elapsed)),
            self.clients.ip.gather(pl.Series(picked.client)),
            pools.result.gather(pl.Series(picked.both)),
            pl.Series(picked.size).cast(pl.String),
            _BLANK,
            pools.method_url.gather(pl.Series(picked.request)),
            pools.number.gather(pl.Series(picked.number)),
            _BLANK,
            self.clients.user.gather(pl.Series(picked.client)).str.strip_suffix(" "),
            pools.server.gather(pl.Series(picked.both)),
        )

    def _combined(self, picked: Picked) -> pl.Series:
        pools, (before, behind) = self.pools, self.day.clf
        return joined(
            self.clients.ip.gather(pl.Series(picked.client)),
            pl.Series(["- "]),
            self.clients.user.gather(pl.Series(picked.client)),
            pl.Series([f"[{before}"]),
            CLOCKS.gather(pl.Series(picked.at // 1000)),
            pl.Series([f'{behind}] "']),
            pools.method_url.gather(pl.Series(picked.request)),
            pools.number.gather(pl.Series(picked.number)),
            pl.Series([' HTTP/1.1" ']),
            pools.status.gather(pl.Series(picked.both)),
            pl.Series(picked.size).cast(pl.String),
            pl.Series([' "']),
            pools.referrer.gather(pl.Series(picked.request)),
            pl.Series(['" "']),
            _AGENTS.gather(pl.Series(picked.agent)),
            pools.result_pair.gather(pl.Series(picked.both)),
        )


CLOCKS = pl.Series(CLOCK)
_BLANK = pl.Series([" "])
_MILLIS = pl.Series([f".{n:03d} " for n in range(1000)])
_ELAPSED = pl.Series([f"{n:6d} " for n in range(_SLOWEST)])
_AGENTS = pl.Series([f'{agent}" ' for agent in AGENTS])


def _skewed(draw: Draw, count: int, below: int) -> Ints:
    """Whole numbers in [0, below), small ones much more often than large ones: two draws multiplied."""
    return draw.array(count, below) * draw.array(count, 1 << 20) >> 20


def joined(*pieces: pl.Series) -> pl.Series:
    """Pieces side by side; one of length 1 stands in every line."""
    rows = max(len(p) for p in pieces)
    columns = {f"{i}": p for i, p in enumerate(pieces) if len(p) == rows}
    parts = [pl.col(f"{i}") if len(p) == rows else pl.lit(p[0]) for i, p in enumerate(pieces)]
    return pl.DataFrame(columns).select(pl.concat_str(parts).alias("line")).to_series()
