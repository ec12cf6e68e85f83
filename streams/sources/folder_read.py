"""Sources of a folder's files: each once, or followed from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.errors import InputError
from streams.sources.abstract import Source, SourceChunk
from streams.sources.content import Content, ContentSettings, open_content, unreadable
from streams.sources.decompress import Progress
from streams.sources.file_follow import FileFollow
from streams.sources.folder import Folder, in_order, is_packed, left_behind, matching
from streams.sources.siblings import Sibling

_CHECK_US = 5_000_000


class FolderFollow(FileFollow):
    """Files taken one after another, the newest followed; a new one takes over as after a rotation.

    A folder that is new to us is read from its oldest file on. What is written to a file, or comes as one, when a newer
    one has taken over is not read, since the order of the lines is what everything behind relies on: it is counted in
    `unread_bytes`, and `problem` says where.

    Args:
        pattern: See `Folder`.
        settings: How a content is read.
    """

    def __init__(self, pattern: str, settings: ContentSettings) -> None:
        super().__init__(Folder(pattern), settings)
        self._ends: dict[str, int] = {}  # bytes read of the plain files that are done, by generation
        self._checked_us: int | None = None
        self._unread = 0
        self._left: InputError | None = None

    @property
    def unread_bytes(self) -> int:
        """See `Source`."""
        return self._unread + super().unread_bytes

    def save(self) -> dict[str, Any]:
        """See `Source`."""
        return {**super().save(), "ends": self._ends}

    def load(self, state: Mapping[str, Any]) -> None:
        """See `Source`."""
        super().load(state)
        self._ends = {str(g): int(n) for g, n in state.get("ends", {}).items()}

    def read(self, max_lines: int, now_us: int) -> SourceChunk | None:
        """See `Source`."""
        chunk = super().read(max_lines, now_us)
        if chunk is None and (self._checked_us is None or not 0 <= now_us - self._checked_us < _CHECK_US):
            self._checked_us = now_us
            self._look_back()
        self.problem = self.problem or self._left
        return chunk

    def _retire(self) -> None:
        if self._content is not None and self._content.stream is not None and self._content.generation:
            self._ends[self._content.generation] = self._content.position
            while len(self._ends) > self._family.remembered:
                del self._ends[next(iter(self._ends))]
        super()._retire()

    def _look_back(self) -> None:
        """Find what older files have that was not read."""
        files = self._family.files()
        names = [self._generations.of(f) for f in files]
        opened = self._file.identity if self._file is not None else None
        known = [i for i, f in enumerate(files) if names[i] in self._seen or f.identity == opened]
        self._unread, self._left = 0, None
        for file, name in list(zip(files, names, strict=True))[: known[-1] if known else 0]:
            count = 0 if file.identity == opened else self._missing(file, name)
            if count:
                self._unread += count
                self._left = left_behind(self._family.where, file, count)

    def _missing(self, file: Sibling, name: str) -> int:
        if name not in self._seen:
            return file.size if name else 0
        return max(0, file.size - self._ends.get(name, file.size)) if not is_packed(file) else 0

    @property
    def at_end(self) -> bool:
        """See `Source`."""
        return self._at_end


class FolderOnce(Source):
    """All files that match when reading starts, in the order of their names, each to its end.

    One that cannot be read, is empty, or begins with the same data line as one before it is left out; `damage` says so
    of the last one. No file at all is an error.

    Args:
        pattern: See `Folder`.
        settings: How a content is read.
        progress: Told how many bytes were taken from the disk.
    """

    def __init__(self, pattern: str, settings: ContentSettings, progress: Progress | None = None) -> None:
        self._pattern, self._progress = pattern, progress
        self._settings = ContentSettings(
            settings.max_line_bytes, settings.encoding, settings.preamble, False, settings.max_content_bytes
        )
        self._files: list[Sibling] | None = None
        self._next = 0
        self._content: Content | None = None
        self._named = ""  # generation of the open content, once it is in _seen
        self._seen: dict[str, None] = {}
        self._ended = False

    def save(self) -> dict[str, Any]:
        """See `Source`."""
        return {"seen": list(self._seen)}

    def load(self, state: Mapping[str, Any]) -> None:
        """See `Source`."""
        self._seen = dict.fromkeys(map(str, state.get("seen", [])))

    def seek(self, generation: str, offset: int) -> bool:
        """See `Source`. Files in front of the one that it is in are taken to be read."""
        for i, file in enumerate(self._listed()):
            content = self._open(file)
            if content is None:
                continue
            if content.identify(final=True) == generation and content.start_at(offset, final=True):
                self._content, self._next, self._named = content, i + 1, generation
                self._seen[generation] = None
                return True
            content.close()
        return False

    def read(self, max_lines: int, now_us: int) -> SourceChunk | None:
        """See `Source`."""
        del now_us
        while not self._ended:
            if self._content is None and not self._advance():
                self._ended = True
                break
            assert self._content is not None
            chunk = self._part(self._content, max_lines)
            if chunk is not None or self.busy:
                return chunk
        return None

    def _part(self, content: Content, max_lines: int) -> SourceChunk | None:
        """The next lines of the open file; None where it has none, and then it is closed unless it is busy."""
        try:
            chunk = content.read(max_lines, final=True)
        except OSError as error:
            self.damage = unreadable(self._listed()[self._next - 1].path, error)
            self._shut()
            return None
        if chunk is None:
            if not content.busy:
                self.damage = content.damage or self.damage
                self._shut()
            return None
        if chunk.generation != self._named:
            if chunk.generation in self._seen:
                self._repeated()
                return None
            self._seen[chunk.generation] = None
            self._named = chunk.generation
        return chunk

    def _repeated(self) -> None:
        file = self._listed()[self._next - 1]
        self.damage = InputError(
            "the file begins with the same data line as one that was read before, and is not read",
            where=str(file.path),
            hint="if it is another log, read it as a source of another name",
        )
        self._shut()

    def _advance(self) -> bool:
        """Open the next file that can be; False at the end."""
        files = self._listed()
        while self._content is None and self._next < len(files):
            self._content = self._open(files[self._next])
            self._next += 1
        return self._content is not None

    def _open(self, file: Sibling) -> Content | None:
        try:
            return open_content(file.path, self._settings, self._progress)
        except OSError as error:
            self.damage = unreadable(file.path, error)
            return None

    def _listed(self) -> list[Sibling]:
        if self._files is None:
            try:
                self._files = in_order(matching(self._pattern), by_time=False)
            except OSError as error:
                raise InputError(f"the folder cannot be listed: {error.strerror}", where=self._pattern) from error
            if not self._files:
                raise InputError("no file matches", where=self._pattern, hint="check the source's path")
        return self._files

    def _shut(self) -> None:
        if self._content is not None:
            self._content.close()
        self._content, self._named = None, ""

    @property
    def ended(self) -> bool:
        """See `Source`."""
        return self._ended

    @property
    def busy(self) -> bool:
        """See `Source`."""
        return self._content is not None and self._content.busy

    def close(self) -> None:
        """See `Source`."""
        self._shut()
