"""All keys of one rule in one bucket: those in use as objects, the others packed, and who must be looked at when."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

import msgspec

from agents.engine.episodes import Records
from agents.engine.key import Key
from schemas.headers import FOREVER

HOT_KEYS = 32_768  # keys of a rule kept as objects, once or twice over, about 2 KB each; the others are packed
SWEEP_SHIFT = 26  # keys are forgotten in slices of 2^26 microseconds (67 s) once they can be: only memory is at stake
_HEAD = struct.Struct("<qq")  # in front of a packed key: `until`, and `alarm` or forever
_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.decode


class KeyStore:
    """Keys by group key.

    A key that has not been used for a while is packed: the same bytes that a snapshot has of it. That keeps a million
    quiet keys small, and a snapshot of them cheap.

    From the first `save` on it is noted which keys change: those in `young`, and `_changed`. Nothing is noted before,
    and no more once that is longer than the keys are many: then `noting` is False and only `save` will do.

    Args:
        make: Makes a new, empty key.
        hot: How many keys may be in use before those that were not used lately are packed.
    """

    def __init__(self, make: Callable[[str], Key], hot: int = HOT_KEYS) -> None:
        self._make, self._hot = make, hot
        self.young: dict[str, Key] = {}  # used since the generations last changed, or the last save
        self._old: dict[str, Key] = {}  # used before that
        self._cold: dict[str, bytes] = {}
        self._alarms: list[tuple[int, str]] = []  # heap; of a key all but its earliest are void
        self._alarmed: dict[str, int] = {}
        self._sweeps: dict[int, list[str]] = {}
        self._sweep_order: list[int] = []  # heap
        self._changed: set[str] = set()  # since the last save, beside the young
        self._gone: set[str] = set()  # forgotten since; those that are there again stand in both
        self.noting = False

    def __len__(self) -> int:
        return len(self.young) + len(self._old) + len(self._cold)

    def __contains__(self, group_key: str) -> bool:
        return group_key in self.young or group_key in self._old or group_key in self._cold

    def group_keys(self) -> Iterator[str]:
        """All of them, in no order."""
        return chain(self.young, self._old, self._cold)

    def watched(self) -> list[str]:
        """Keys that must be looked at some time, those with an open episode among them; in order."""
        return sorted(group_key for group_key in self._alarmed if group_key in self)

    def drop(self, group_key: str) -> None:
        """Forget a key."""
        for keys in (self.young, self._old, self._cold):
            keys.pop(group_key, None)
        if self.noting:
            self._changed.discard(group_key)
            self._gone.add(group_key)
            self._note_no_more_than_helps()

    def renew(self) -> None:
        """Pack all keys, so that each is made anew when it is used next: what makes them has changed."""
        self._cool()
        self._cool()

    def find(self, group_key: str, t: int) -> Key:
        """The key of a group key that something happens to at a time; a new one where there is none."""
        found = self.young.get(group_key)
        if found is not None:
            return found
        found = self._old.pop(group_key, None)
        if found is None:
            packed = self._cold.pop(group_key, None)
            if packed is None:
                found = self._make(group_key)
                self._sweep_at(group_key, t)
            else:
                found = self._unpacked(group_key, packed)
        if len(self.young) >= self._hot:
            self._cool()
        self.young[group_key] = found
        return found

    def watch(self, group_key: str, alarm: int | None) -> None:
        """Note when a key must be looked at. A key has one alarm, its earliest; one that is not needed does no harm."""
        if alarm is not None and alarm < self._alarmed.get(group_key, FOREVER + 1):
            heapq.heappush(self._alarms, (alarm, group_key))
            self._alarmed[group_key] = alarm

    def ring(self, watermark: int, told: Callable[[str, Records], None]) -> bool:
        """Let time pass for all keys up to the watermark, and forget those that are over.

        Args:
            watermark: Up to, not including, this time.
            told: Gets what a key says.

        Returns:
            True where anything changed.
        """
        due = []
        while self._alarms and self._alarms[0][0] < watermark:
            alarm, group_key = heapq.heappop(self._alarms)
            if self._alarmed.get(group_key) == alarm:
                del self._alarmed[group_key]
                due.append(group_key)
        for group_key in due:
            if group_key in self:
                made: Records = []
                key = self.find(group_key, watermark)
                key.tick(watermark, made)
                self.watch(group_key, key.alarm())
                if made:
                    told(group_key, made)
        return self._sweep(watermark) or bool(due)

    def save(self) -> dict[str, bytes]:
        """All keys, packed. Those that were not used since the last time stay so."""
        self._cool()
        self._note_anew()
        return self._cold | {g: _packed(k) for g, k in self._old.items()}

    def changes(self) -> tuple[dict[str, bytes], list[str]]:
        """Keys that changed since the last `save` or `changes`, packed, and those that were forgotten before that.

        The work is that of the keys that changed, however many there are. Only while `noting`.
        """
        changed = {g: self._bytes(g) for g in self._changed if g not in self.young}
        changed |= {g: _packed(k) for g, k in self.young.items()}
        gone = sorted(self._gone)
        self._old |= self.young
        self.young = {}
        for group_key in list(islice(self._old, max(0, len(self._old) - self._hot))):  # the longest unused
            packed = changed.get(group_key)
            self._cold[group_key] = self._bytes(group_key) if packed is None else packed
            del self._old[group_key]
        self._note_anew()
        return changed, gone

    def load(self, saved: Mapping[str, Any]) -> None:
        """Take back what `save` gave; what an older release gave is plain values."""
        for group_key, state in saved.items():
            packed = state
            if not isinstance(state, bytes):
                key = self._make(group_key)
                key.from_state(state)
                packed = _packed(key)
            self._cold[group_key] = packed
            until, alarm = _HEAD.unpack_from(packed)
            self._sweep_at(group_key, until)
            self.watch(group_key, alarm if alarm < FOREVER else None)

    def _cool(self) -> None:
        for group_key, key in self._old.items():
            self._cold[group_key] = _packed(key)
        if self.noting:
            self._changed.update(self.young)
            self._note_no_more_than_helps()
        self._old, self.young = self.young, {}

    def _note_anew(self) -> None:
        self._changed, self._gone, self.noting = set(), set(), True

    def _note_no_more_than_helps(self) -> None:
        if len(self._changed) + len(self._gone) > len(self) + self._hot:
            self._changed, self._gone, self.noting = set(), set(), False

    def _bytes(self, group_key: str) -> bytes:
        key = self._old.get(group_key)
        return self._cold[group_key] if key is None else _packed(key)

    def _unpacked(self, group_key: str, packed: bytes) -> Key:
        key = self._make(group_key)
        key.from_state(_decode(packed[_HEAD.size :]))
        return key

    def _sweep_at(self, group_key: str, t: int) -> None:
        number = t >> SWEEP_SHIFT
        keys = self._sweeps.get(number)
        if keys is None:
            keys = self._sweeps[number] = []
            heapq.heappush(self._sweep_order, number)
        keys.append(group_key)

    def _sweep(self, watermark: int) -> bool:
        changed = False
        while self._sweep_order and (self._sweep_order[0] + 1) << SWEEP_SHIFT <= watermark:
            for group_key in self._sweeps.pop(heapq.heappop(self._sweep_order)):
                until, alarm = self._head(group_key)
                if alarm == FOREVER and until <= watermark and until < FOREVER:
                    self.drop(group_key)
                    changed = True
                else:
                    self._sweep_at(group_key, max(until, watermark))
        return changed

    def _head(self, group_key: str) -> tuple[int, int]:
        key = self.young.get(group_key) or self._old.get(group_key)
        if key is not None:
            return _head_of(key)
        until, alarm = _HEAD.unpack_from(self._cold[group_key])
        return until, alarm


def _head_of(key: Key) -> tuple[int, int]:
    alarm = key.alarm()
    return min(key.until(), FOREVER), FOREVER if alarm is None else min(alarm, FOREVER - 1)


def _packed(key: Key) -> bytes:
    return _HEAD.pack(*_head_of(key)) + _encode(key.to_state())
