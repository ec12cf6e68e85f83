"""`late` and `time_suspect`: decided where a line is read, from the times before it (and, for a suspect, behind it).

Pure functions over NumPy arrays of microseconds UTC. The same rows in the same order get the same stamps whatever the
chunks they come in: a row that cannot be decided yet is not stamped, and is given again with the rows behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from schemas.headers import NEVER

VOTES = 3  # later rows that decide about a row far ahead
LOOKAHEAD = 2 * VOTES - 1  # after so many later rows one side has VOTES

Times = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StampState:
    """What stamping remembers of a source; all times microseconds UTC.

    Attributes:
        maximum: Running maximum of the times of rows that are not suspect; None before the first.
        earliest: Least time of rows that are neither suspect nor late; None before the first.
    """

    maximum: int | None = None
    earliest: int | None = None


@dataclass(frozen=True, slots=True)
class Stamps:
    """Stamps of the rows that could be decided, from the first on.

    Attributes:
        late: Strictly older than the running maximum before the row less the lateness.
        suspect: Far ahead and not confirmed. Never late as well.
        running: Running maximum as of each row, itself included.
        earliest: Earliest time of rows in time as of each row, itself included.
        outcomes: Of the rows decided by `closing`: index to confirmed.
        state: Behind the last decided row.
    """

    late: Flags
    suspect: Flags
    running: Times
    earliest: Times
    outcomes: Mapping[int, bool]
    state: StampState

    def __len__(self) -> int:
        return len(self.late)


def progress_of(maximum: int | None, lateness_us: int) -> int:
    """Progress in the sense of `BatchHeaders.progress`."""
    return NEVER if maximum is None else maximum - lateness_us


def stamp(
    times: Times,
    state: StampState,
    *,
    lateness_us: int,
    jump_max_us: int,
    closing: int | None = None,
    decided: Mapping[int, bool] | None = None,
) -> Stamps:
    """Stamp rows in line order.

    A row more than `jump_max_us` ahead of the running maximum is confirmed once 3 later rows are at or after its time
    less the lateness, and refuted once 3 are before that. The first row ever has nothing to be ahead of.

    Args:
        times: Rows not decided so far, then new ones.
        state: Behind the last decided row.
        lateness_us: Disorder tolerated.
        jump_max_us: Largest credible jump.
        closing: Wall clock, where nothing more comes for now: rows still open are confirmed if not after it.
        decided: Index to confirmed, for rows that an earlier run decided by `closing`.
    """
    size = len(times)
    suspect = np.zeros(size, np.bool_)
    outcomes: dict[int, bool] = {}
    start, stop = 0, size
    maximum = state.maximum
    while start < size:
        jump = _first_jump(times[start:], maximum, jump_max_us)
        if jump is None:
            break
        row = start + jump
        confirmed = decided.get(row) if decided else None
        if confirmed is None:
            confirmed = _vote(times[row + 1 : row + 1 + LOOKAHEAD], int(times[row]) - lateness_us)
        if confirmed is None and closing is not None:
            confirmed = outcomes[row] = int(times[row]) <= closing
        if confirmed is None:
            stop = row
            break
        accepted = times[start : row + 1] if confirmed else times[start:row]
        if len(accepted):
            maximum = max(int(accepted.max()), NEVER if maximum is None else maximum)
        suspect[row] = not confirmed
        start = row + 1
    return _with_maximum(times[:stop], suspect[:stop], state, lateness_us, outcomes)


def cover(state: StampState, until: int) -> StampState:
    """A quiet log is known to have covered the time up to `until`: rows before that less the lateness will be late."""
    if state.maximum is None or until <= state.maximum:
        return state
    return replace(state, maximum=until)


def least_lag(before: int | None, maximum: int | None, now_us: int) -> int | None:
    """Shortest time so far from a log's newest row to when it was read.

    Never below 0, so that no clock that was wrong for a while makes a quiet log cover what is still to come.

    Args:
        before: So far; None: not known.
        maximum: Time of the newest row; None: there is none.
        now_us: Wall clock.
    """
    if maximum is None:
        return before
    lag = max(0, now_us - maximum)
    return lag if before is None else min(before, lag)


def _first_jump(times: Times, maximum: int | None, jump_max_us: int) -> int | None:
    """Index of the first row too far ahead of the maximum before it."""
    if maximum is None:
        if len(times) < 2:
            return None
        ahead = times[1:] - np.maximum.accumulate(times)[:-1] > jump_max_us
        first = 1
    else:
        if int(times.max()) - maximum <= jump_max_us:
            return None
        before = np.maximum(np.concatenate(([maximum], np.maximum.accumulate(times)[:-1])), maximum)
        ahead, first = times - before > jump_max_us, 0
    at = int(ahead.argmax())
    return at + first if ahead[at] else None


def _vote(later: Times, threshold: int) -> bool | None:
    """What the rows behind a suspect say; None while neither side has enough."""
    ayes = noes = 0
    for time in later.tolist():
        if time >= threshold:
            ayes += 1
        else:
            noes += 1
        if VOTES in (ayes, noes):
            return ayes == VOTES
    return None


def _with_maximum(
    times: Times, suspect: Flags, state: StampState, lateness_us: int, outcomes: Mapping[int, bool]
) -> Stamps:
    """Late stamps and running values, now that it is known who is suspect."""
    if not len(times):
        empty = np.empty(0, np.int64)
        return Stamps(np.empty(0, np.bool_), suspect, empty, empty, outcomes, state)
    least, most = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    trusted_high = np.where(suspect, least, times)
    running = np.maximum.accumulate(trusted_high)
    if state.maximum is not None:
        running = np.maximum(running, state.maximum)
    before = np.empty_like(running)
    before[0] = least if state.maximum is None else state.maximum
    before[1:] = running[:-1]
    known = before > least
    late = known & ~suspect & (times < np.where(known, before - lateness_us, 0))
    # A late row may come when readers have long taken what was told for the begin: it never changes that.
    earliest = np.minimum.accumulate(np.where(suspect | late, most, times))
    if state.earliest is not None:
        earliest = np.minimum(earliest, state.earliest)
    end = StampState(int(running[-1]), int(earliest[-1]))
    return Stamps(late, suspect, running, earliest, outcomes, end)
