"""A log that is still being written, followed through rotation.

What can happen to it, and what is done:

- *Renamed* (logrotate's default, with or without `create`): the old file is read to its end through the open
  handle, wherever it is now, even if it is compressed and removed meanwhile. Reading goes over to the new file once
  that one has bytes and the old one has had none for `grace_us`, since a writer goes on writing to the old file
  until it is told to reopen.
- *Copied and truncated*: the content shrinks or begins otherwise. What was not read yet is read in the copy, which is
  known by its generation.
- *Replaced* by a copy of itself that has more (`rsync`, `sed -i`, an editor): reading goes on in the copy where it was,
  once the old file has had nothing for `grace_us`, though the copy was rotated meanwhile. Where the copy is not what
  was read so far, that is a problem; once it is rotated, what it has more is lost, and said to be.
- *Any of it several times*, while the collector was down or slow: the contents between the last one read and the
  log are the rotated files that are newer; they are read in order.

Paths and inodes only help to find files; which content a file has, its first line says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from schemas.errors import InputError, StateError
from streams.sources.abstract import Source, SourceChunk
from streams.sources.content import Content, ContentSettings, open_content, unreadable
from streams.sources.live import LiveReader, is_copy
from streams.sources.losses import Losses
from streams.sources.siblings import COMPRESSED, Family, Generations, Rotated, Sibling, is_readable

GRACE_US = 2_000_000
_MOST_PACKED = 256 << 20  # bytes of a compressed file that is unpacked to compare it: meanwhile no other log is read


class FileFollow(Source):
    """See the module.

    Args:
        path: The log's own name, or all files that it may be in.
        settings: How its content is read.
        grace_us: See the module; microseconds.
    """

    def __init__(self, path: Path | Family, settings: ContentSettings, *, grace_us: int = GRACE_US) -> None:
        self._family = path if isinstance(path, Family) else Rotated(path)
        self._path, self._grace_us = Path(self._family.where), grace_us
        self._settings = replace(settings, header_is_content=False)  # or all that have only a header would be one
        self._generations = Generations(self._settings)
        self._seen: list[str] = []  # contents read or being read, oldest first
        self._mtime_ns = 0  # of the content last read
        self._content: Content | None = None
        self._file: Sibling | None = None  # what the content was opened from
        self._final = False  # nothing more will be written to the content
        self._quiet_since: int | None = None
        self._at_end = False
        self._lost: tuple[str, int] | None = None  # where a disk error stopped reading, or a disk that is away
        self._compared: dict[tuple[object, ...], tuple[bool, int]] = {}  # of `_copied`, of the open content
        self._edited: list[tuple[Sibling, int]] = []  # rotated files in place of the open content, and their sizes
        self._losses, self._refused = Losses(), 0  # and bytes of a file in the log's place that is not read

    @property
    def ended(self) -> bool:
        """See `Source`."""
        return False

    @property
    def at_end(self) -> bool:
        """See `Source`."""
        return self._at_end

    @property
    def busy(self) -> bool:
        """See `Source`."""
        return self._content is not None and self._content.busy

    @property
    def unread_bytes(self) -> int:
        """See `Source`."""
        return self._losses.bytes + self._refused

    def save(self) -> dict[str, Any]:
        """See `Source`."""
        if self._content is not None and self._content.stream is not None:
            self._mtime_ns = os.fstat(self._content.stream.fileno()).st_mtime_ns
        return {"seen": self._seen, "mtime_ns": self._mtime_ns, "lost": self._losses.save()}

    def load(self, state: Mapping[str, Any]) -> None:
        """See `Source`."""
        self._seen = [str(g) for g in state.get("seen", [])][-self._family.remembered :]
        self._mtime_ns = int(state.get("mtime_ns", 0))
        self._losses.load(state.get("lost", {}))

    def seek(self, generation: str, offset: int) -> bool:
        """See `Source`."""
        if generation not in self._seen:
            self._seen.append(generation)
        files = self._family.files()
        same = [f for f in files if self._generations.of(f) == generation]
        same.sort(key=lambda f: not f.live)
        if any(self._open(file, offset) for file in same):
            return True
        if not all(map(is_readable, files)) or not files:  # a disk that is away, perhaps: it is looked for again
            self._lost = generation, offset
            return True
        what = f"reading stopped at byte {offset} of content {generation}, and no file has more of it"
        self._losses.add(f"{what}; what was behind, if anything, is not read", self._family.where)
        return False

    def leave(self, why: StateError) -> bool:
        """See `Source`."""
        if self._content is None or self._file is None or self._file.live:
            return False
        beyond = self._file.size - self._content.position if self._content.stream is not None else 0
        self._losses.add(f"{why.what}; what is behind them in this file is not read", self._file.path, beyond)
        self._retire()
        return True

    def read(self, max_lines: int, now_us: int) -> SourceChunk | None:
        """See `Source`."""
        self._at_end = False
        self._family.at(now_us)
        self.notice = self._losses.said(now_us)
        for _ in range(64):  # contents without lines passed over in one call
            if self._content is None and not self._open_lost() and not self._open_next():
                return None
            assert self._content is not None
            chunk = self._read_content(max_lines)
            if chunk is not None:
                self._quiet_since = None
                return chunk
            if not self._next_content(now_us):
                return None
        return None

    def _next_content(self, now_us: int) -> bool:
        """After a read that gave nothing: False where there is nothing to go on with now."""
        if self._content is None:
            return self._lost is None
        if self._content.busy:
            return False
        if self._final:
            self._retire()
        elif self._changed():
            self._follow_copy()
        else:
            return self._moved_on(now_us)
        return True

    def close(self) -> None:
        """See `Source`."""
        if self._content is not None:
            self._content.close()
            self._content = None

    def _read_content(self, max_lines: int) -> SourceChunk | None:
        assert self._content is not None
        try:
            chunk = self._content.read(max_lines, final=self._final)
        except OSError as error:  # a disk error, or a network file system that went away: open it anew next time
            self.problem = unreadable(self._path, error)
            self._lost = (self._content.generation, self._content.offset)
            self.close()
            return None
        if chunk is not None and (not self._seen or self._seen[-1] != chunk.generation):
            if self._overtaken():
                self.close()
                self._file = None
                return None
            self._seen = [*self._seen, chunk.generation][-self._family.remembered :]
        return chunk

    def _overtaken(self) -> bool:
        """True where the log was opened while it was empty, and filled and copied away more than once since."""
        if not self._seen or self._file is None or not self._file.live:
            return False
        following = self._successors(held=False)
        return bool(following) and following[0].identity != self._file.identity

    def _changed(self) -> bool:
        assert self._content is not None
        return isinstance(self._content.reader, LiveReader) and self._content.reader.changed

    def _moved_on(self, now_us: int) -> bool:
        """At the end of a content: True where reading goes on. Says so too where the log is just quiet."""
        assert self._file is not None
        assert self._content is not None
        try:
            here = self._family.live()
        except OSError as error:
            self.problem = None if isinstance(error, FileNotFoundError) else unreadable(self._path, error)
            here = None
        self._refused = 0
        following = [] if here is not None and here.identity == self._file.identity else self._successors()
        if here is not None and here.identity != self._file.identity and not following and self._is_known(here):
            return self._replaced(here, now_us)
        if (here is None or here.identity != self._file.identity) and (more := self._rotated_copy()) is not None:
            return self._is_quiet(now_us) and self._open(more, self._content.offset)
        if here is not None and (here.identity == self._file.identity or (self._family.reads_all and not following)):
            self.problem, self._at_end, self._quiet_since = None, True, None
            return False
        if not following or (following[0].live and following[0].size == 0):
            return False
        if not self._is_quiet(now_us) and following[0].live:
            return False
        for file, size in self._edited:
            what = f"it begins as what was read, and is something else before byte {self._content.offset}"
            self._losses.add(f"{what}; what is behind is not read", file.path, size - self._content.offset)
        self._final = True
        return True

    def _is_quiet(self, now_us: int) -> bool:
        """True where nothing has been written to the old file for long enough."""
        if self._quiet_since is None:
            self._quiet_since = now_us
        return now_us - self._quiet_since >= self._grace_us

    def _is_known(self, here: Sibling) -> bool:
        """True where the file in the log's place is told to be read already by its first line, and by nothing else."""
        assert self._content is not None
        generation = self._generations.of(here)
        return generation == self._content.generation != "" or (generation != "" and not self._family.reads_all)

    def _replaced(self, here: Sibling, now_us: int) -> bool:
        """The log is another file now that begins as one that was read: True where reading goes on in it."""
        assert self._content is not None
        if self._generations.of(here) != self._content.generation:
            self._quiet_since = None
            self._explain_nothing()
            return False
        same, size = self._copied(here)
        if not same:
            self._quiet_since, self._refused = None, max(0, size - self._content.offset)
            self.problem = InputError(
                f"another file is in the log's place: it begins with the same line and is not what was read so far, up "
                f"to byte {self._content.offset}",
                where=str(here.path),
                hint="it was edited, or cut; put back a copy that begins with what was read, or read it as a source of "
                "another name",
            )
            return False
        if size <= self._content.position:
            self.problem, self._at_end, self._quiet_since = None, True, None
            return False
        return self._is_quiet(now_us) and self._open(here, self._content.offset)

    def _copied(self, file: Sibling) -> tuple[bool, int]:
        """See `is_copy`; (False, 0) of a file that cannot be read."""
        assert self._content is not None
        key = (file.identity, file.size, file.mtime_ns, self._content.offset)
        if key not in self._compared:
            try:
                self._compared[key] = is_copy(self._content.stream, self._content.offset, file.path, self._settings)
            except OSError as error:
                self.problem = unreadable(file.path, error)
                return False, 0
        return self._compared[key]

    def _rotated_copy(self) -> Sibling | None:
        """A copy of the open content with more in it that was rotated before it was read in the log's place.

        None where there is none; what is beyond the place of reading in one that was edited is lost then.
        """
        assert self._content is not None
        assert self._file is not None
        files, opened, self._edited = self._family.files(), self._file.identity, []
        if self._content.stream is None or any(f.identity == opened for f in files):
            return None
        rotated = [f for f in files if not f.live and (f.size <= _MOST_PACKED or not f.path.name.endswith(COMPRESSED))]
        named = [f for f in rotated if self._generations.of(f) == self._content.generation != ""]
        found = [(file, *self._copied(file)) for file in named]
        self._edited = [] if any(same for _, same, _ in found) else [(file, size) for file, _, size in found]
        return next((file for file, same, size in found if same and size > self._content.position), None)

    def _follow_copy(self) -> None:
        """The content was replaced under the handle: read its rest in the copy, if there is one."""
        assert self._content is not None
        generation, offset = self._content.generation, self._content.offset
        self._retire()
        if generation:
            copies = [f for f in self._family.files() if not f.live and self._generations.of(f) == generation]
            if not any(self._open(copy, offset, final=True) for copy in copies):
                what = f"it was emptied or written anew, and no copy is beside it of what was read up to byte {offset}"
                self._losses.add(f"{what}; what was behind, if anything, is not read", self._path)

    def _retire(self) -> None:
        if self._content is not None and self._file is not None:
            self._mtime_ns = self._file.mtime_ns
            self.save()
            self.damage = self._content.damage or self.damage
            self._content.close()
        self._content, self._file, self._final, self._quiet_since = None, None, False, None
        self._compared, self._edited = {}, []

    def _open_lost(self) -> bool:
        """Go back to where a disk error stopped reading; False where nothing was lost or the content is gone."""
        if self._lost is None or not self._family.files():
            return False
        (generation, offset), self._lost = self._lost, None
        return bool(generation) and self.seek(generation, offset) and self._content is not None

    def _open_next(self) -> bool:
        """Open the oldest content that comes after the last one read; False where there is none."""
        for _ in range(5):
            following = self._successors()
            if not following:
                self._explain_nothing()
                return False
            if self._lost is not None and not is_readable(following[0]):  # it may be the very one
                self.problem = InputError(
                    "it cannot be read", where=str(following[0].path), hint="check who may read it, and the disk"
                )
                return False
            if not self._open(following[0], 0):
                return False
            again = self._successors(held=False)  # a rotation in between would have changed what the name means
            if again and self._file is not None and again[0].identity == self._file.identity:
                self._pass_over()
                return True
            self.close()
            self._file = None
        return False

    def _pass_over(self) -> None:
        """Something newer is read than what could not be."""
        if self._lost is not None and self._lost[0]:
            what = "reading stopped at byte {1} of content {0}, which cannot be read any more".format(*self._lost)
            self._losses.add(f"{what}; what was behind, if anything, is not read", self._family.where)
        self._lost = None

    def _explain_nothing(self) -> None:
        if not self._family.files() or not self._family.files()[-1].live:
            self.problem = InputError(
                "the log is not there yet", where=self._family.where, hint="it is read as soon as it is; check the path"
            )
        else:
            self.problem = InputError(
                "the log begins with the same line as a content that was read before",
                where=self._family.where,
                hint="its lines cannot be told from those; read it as a source of another name",
            )

    def _successors(self, *, held: bool = True) -> list[Sibling]:
        """Contents newer than the last one read, and with `held` than the open one, oldest first; the log last."""
        files = self._family.files()
        if not self._seen and not self._family.reads_all:
            return [f for f in files if f.live]
        names = [self._generations.of(f) for f in files]
        opened = self._file.identity if self._file is not None and held else None
        known = [i for i, f in enumerate(files) if names[i] in self._seen or f.identity == opened]
        newer = range(known[-1] + 1 if known else 0, len(files))
        return [
            files[i] for i in newer if files[i].live or (names[i] and (known or files[i].mtime_ns > self._mtime_ns))
        ]

    def _open(self, file: Sibling, offset: int, *, final: bool = False) -> bool:
        """Open a file at a place in its content; False where it cannot be, `problem` then says why."""
        try:
            content = open_content(file.path, self._settings)
            if content.stream is not None:
                content.reader = LiveReader(content.stream, header=self._settings.preamble is not None)
            else:
                final = True  # compressed: what is in it is all there is
            if offset and not content.start_at(offset, final=final):
                content.close()
                return False
        except OSError as error:
            self.problem = unreadable(file.path, error)
            return False
        if content.stream is not None:
            status = os.fstat(content.stream.fileno())
            file = Sibling(file.path, (status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns, file.live)
        self.close()
        self._content, self._file, self._final, self._quiet_since = content, file, final, None
        self._compared, self._edited = {}, []
        self.problem = None
        return True
