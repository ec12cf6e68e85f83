"""A log that is rotated in every way, and somebody who follows it."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

from streams.sources.content import ContentSettings
from streams.sources.file_follow import GRACE_US, FileFollow


class Log:
    """A log's writer and logrotate, played by hand."""

    def __init__(self, folder: Path, *, dated: bool = False, header: bytes = b"") -> None:
        self.path = folder / "access.log"
        self.written: list[bytes] = []
        self._dated, self._day, self._header = dated, 0, header
        self._handle = self.path.open("ab", buffering=0)
        self._head()
        self.clock = 0

    def _head(self) -> None:
        if self.path.stat().st_size == 0:
            self._handle.write(self._header)

    def write(self, count: int, *, half: bool = False) -> None:
        for _ in range(count):
            line = b"line %d" % len(self.written)
            self.written.append(line)
            self._handle.write(line + b"\n")
        if half:
            line = b"line %d in two halves" % len(self.written)
            self.written.append(line)
            self._handle.write(line[:6])
            self._rest = line[6:] + b"\n"

    def finish_half(self) -> None:
        self._handle.write(self._rest)

    def _shift(self) -> Path:
        if self._dated:
            self._day += 1
            return self.path.with_name(f"access.log-202605{self._day:02d}")
        for n in range(9, 0, -1):
            for ending in ("", ".gz"):
                old = self.path.with_name(f"access.log.{n}{ending}")
                if old.exists():
                    old.rename(self.path.with_name(f"access.log.{n + 1}{ending}"))
        return self.path.with_name("access.log.1")

    def rename(self) -> None:
        """The old file goes on being written until `reopen`."""
        self.path.rename(self._shift())

    def create(self) -> None:
        self.path.touch()

    def reopen(self) -> None:
        self._handle.close()
        self._handle = self.path.open("ab", buffering=0)
        self._head()

    def replace(self, content: bytes) -> None:
        """Another file with some content takes its place, as `rsync`, `sed -i` and editors do it."""
        copy = self.path.with_name("copy")
        copy.write_bytes(content)
        copy.rename(self.path)

    def longer(self, count: int) -> None:
        """A copy with more lines takes its place; the writer goes on in that."""
        more = [b"line %d" % (len(self.written) + i) for i in range(count)]
        self.written += more
        self.replace(self.path.read_bytes() + b"".join(line + b"\n" for line in more))
        self._handle.close()
        self._handle = self.path.open("ab", buffering=0)

    def copy_truncate(self) -> None:
        shutil.copyfile(self.path, self._shift())
        self.empty()

    def empty(self) -> None:
        os.truncate(self.path, 0)
        self._head()

    def compress(self) -> None:
        for old in self.path.parent.glob("access.log?[0-9]*"):
            if old.suffix != ".gz":
                packed = old.with_name(old.name + ".gz")
                packed.write_bytes(gzip.compress(old.read_bytes()))
                stat = old.stat()
                os.utime(packed, ns=(stat.st_atime_ns, stat.st_mtime_ns))
                old.unlink()


class Follower:
    """Reads, and restarts from where it was; lines of a header are left out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._settings = ContentSettings(1_000, preamble=lambda line: line.startswith(b"#"))
        self.source = FileFollow(path, self._settings)
        self.got: list[bytes] = []
        self.places: list[tuple[str, int]] = []
        self._place: tuple[str, int] | None = None
        self._now = 0

    def poll(self) -> None:
        """Read all there is, with the time that a writer is given to move over to a new file."""
        for _ in range(40):
            chunk = self.source.read(3, self._now)
            self._now += GRACE_US
            if chunk is not None:
                self.got += [line for line in chunk.lines if not line.startswith(b"#")]
                self.places += [(chunk.generation, o) for o in chunk.offsets.tolist()]
                self._place = (chunk.generation, chunk.end_offset)

    def skip(self, us: int) -> None:
        """Let time pass."""
        self._now += us

    def one(self) -> None:
        chunk = self.source.read(2, self._now)
        self._now += 1
        if chunk is not None:
            self.got += [line for line in chunk.lines if not line.startswith(b"#")]
            self.places += [(chunk.generation, o) for o in chunk.offsets.tolist()]
            self._place = (chunk.generation, chunk.end_offset)

    def restart(self) -> None:
        state = self.source.save()
        self.source.close()
        self.source = FileFollow(self._path, self._settings)
        self.source.load(state)
        if self._place is not None:
            self.source.seek(*self._place)


def read_from(log: Log) -> Follower:
    follower = Follower(log.path)
    log.write(5)
    follower.poll()
    return follower
