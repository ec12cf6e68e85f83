"""Which parts of its buckets a checkpoint writes: whole ones in rotation, between them what changed.

A bucket's saved state is a *chain*: one whole part, and the changes since, numbered from 1. Bucket 7's third whole part
is `b07.3`, the changes after it `b07.3.1`, `b07.3.2` and so on. Every whole part begins a chain under tags of its own,
and the one before stays where it is.

**`meta` names the chains**, each by its number and how many changes it has. That makes a checkpoint atomic, though its
records are written one after the other and the process may be killed between any two:

- All parts that `meta` names are acknowledged before `meta` is written, and none is ever written over: a tag is used
  once in an epoch, and the next owner writes under another epoch. So what the newest `meta` names is all there.
- Parts without a `meta` that names them are leftovers of a checkpoint that was cut off. They are not read, however
  complete they look: so no changes are ever put on a whole part that they do not belong to, and no bucket is restored
  before or after the offset that `meta` says.
- The parts of the chain before are removed only after `meta` is acknowledged; before that a kill would leave the older
  `meta` with nothing behind it. Where a kill leaves them there, the next owner removes them with everything of its
  predecessors.
- Should two owners ever write under one epoch (both began from the same records, and one slept on it), their parts do
  not mix unseen: changes name the checksum of the part before them, and `meta` that of the last.

Buckets that a release before saved (`b07`, whole, written over in place) may be ahead of their `meta`, by the offset
that each of them names.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from agents.delivery.snapshots import META, UPDATE, pack, unpack
from agents.engine import saving
from agents.engine.correlate import Bucket
from schemas.errors import NewerReleaseError, StateError

MAX_CHANGES = 256  # parts of a chain; at one every two seconds some nine minutes
MAX_WHOLE = 4  # whole parts in one checkpoint that are not needed yet, of 32 buckets
_HINT = "two workers may have written it; start with an empty state topic and read the detections again"


class Restored(NamedTuple):
    """A bucket's state, as `Bucket.load` takes it, and the offset that it is applied to."""

    number: int
    applied: int
    state: dict[str, Any]


@dataclass(slots=True)
class _Chain:
    """Where a bucket's state is. Number 0: nowhere yet."""

    number: int = 0
    changes: int = 0
    whole_bytes: int = 0
    changes_bytes: int = 0
    crc32: int = 0  # of the newest part

    @property
    def over(self) -> bool:
        """Reading the changes costs more than reading the whole part, or they are many."""
        return self.changes_bytes > self.whole_bytes or self.changes >= MAX_CHANGES


class Checkpoints:
    """Makes the parts of one owner's checkpoints.

    The parts must be written, or the process end: what they hold is not written again.

    Args:
        buckets: All buckets of an input partition.
    """

    def __init__(self, buckets: Sequence[Bucket]) -> None:
        self._buckets = buckets
        self._chains = [_Chain() for _ in buckets]
        self.whole = self.changes = self.bytes = 0  # of the last checkpoint: parts of each sort, and bytes of all

    def parts(self, applied: Sequence[int], /, **meta: object) -> dict[str, bytes]:
        """Parts of the buckets that are dirty, and `meta`; an empty part is one to remove.

        Args:
            applied: The offset that each bucket is applied to.
            meta: What else stands in `meta`, plain values.
        """
        parts: dict[str, bytes] = {}
        self.whole = self.changes = 0
        for number, whole in self._due():
            bucket, chain = self._buckets[number], self._chains[number]
            changed = None if whole else bucket.changes()
            bucket.dirty = False
            if changed is None:
                parts |= self._begin(number, applied[number])
                self.whole += 1
            elif changed["rules"]:
                chain.changes += 1
                part = pack(applied=applied[number], after=chain.crc32, changes=changed)
                chain.changes_bytes += len(part)
                chain.crc32 = zlib.crc32(part)
                parts[_tag(number, chain.number, chain.changes)] = part
                self.changes += 1
        # A release that does not know chains looks for a number of buckets here, and refuses.
        parts[META] = pack(buckets=[[c.number, c.changes, c.crc32] for c in self._chains], **meta)
        self.bytes = sum(map(len, parts.values()))
        return parts

    def _due(self) -> Iterator[tuple[int, bool]]:
        """Buckets to write, and whether whole: those that must be, and of the others a few at a time.

        The longest chains come first, so that none waits longer than the others take once each.
        """
        dirty = [n for n, bucket in enumerate(self._buckets) if bucket.dirty]
        over = [n for n in dirty if self._chains[n].number and self._chains[n].over]
        over.sort(key=lambda n: self._chains[n].changes, reverse=True)
        whole = {*over[:MAX_WHOLE], *(n for n in dirty if not self._chains[n].number)}
        return ((n, n in whole) for n in dirty)

    def _begin(self, number: int, applied: int) -> dict[str, bytes]:
        """Begin a new chain, and remove the one before."""
        before = self._chains[number]
        after = self._chains[number] = _Chain(before.number + 1)
        part = pack(applied=applied, state=self._buckets[number].save())
        after.whole_bytes, after.crc32 = len(part), zlib.crc32(part)
        old = range(before.changes + 1) if before.number else ()
        return {_tag(number, before.number, n): b"" for n in old} | {_tag(number, after.number): part}


def restored(parts: Mapping[str, bytes], meta: Mapping[str, Any], buckets: int) -> Iterator[Restored]:
    """The buckets that a checkpoint has, whole.

    Args:
        parts: All parts of the epoch.
        meta: The plain values of its `meta`.
        buckets: How many buckets there are.

    Raises:
        StateError: it has another number of buckets, or lacks a part that `meta` names, or has another in its place.
    """
    named = meta["buckets"]
    if (named if isinstance(named, int) else len(named)) != buckets:
        raise NewerReleaseError("the saved state has another layout", hint=UPDATE)
    if isinstance(named, int):
        yield from _before_chains(parts, buckets)
        return
    for number, (chain, changes, crc32) in enumerate(named):
        if chain:
            yield _joined(parts, number, [_tag(number, chain, n) for n in range(changes + 1)], crc32)


def _joined(parts: Mapping[str, bytes], number: int, tags: Sequence[str], last: int) -> Restored:
    missing = [tag for tag in tags if tag not in parts]
    if missing:
        raise StateError(f"the saved state lacks {', '.join(missing)}", hint=_HINT)
    plain = unpack(parts[tags[0]])
    applied, state = plain["applied"], plain["state"]
    for before, tag in pairwise(tags):
        plain = unpack(parts[tag])
        if plain["after"] != zlib.crc32(parts[before]):
            raise StateError(f"the saved state has {tag}, but not the {before} that it belongs to", hint=_HINT)
        saving.merge(state, plain["changes"])
        applied = plain["applied"]
    if last != zlib.crc32(parts[tags[-1]]):
        raise StateError(f"the saved state has another {tags[-1]} than its last checkpoint wrote", hint=_HINT)
    return Restored(number, applied, state)


def _before_chains(parts: Mapping[str, bytes], buckets: int) -> Iterator[Restored]:
    for number in range(buckets):
        part = parts.get(f"b{number:02d}")
        if part is not None:
            plain = unpack(part)
            yield Restored(number, plain["applied"], plain["state"])


def _tag(bucket: int, chain: int, changes: int = 0) -> str:
    return f"b{bucket:02d}.{chain}.{changes}" if changes else f"b{bucket:02d}.{chain}"
