"""A file that is read once, from its start (or where an earlier run stopped) to its end."""

from __future__ import annotations

from pathlib import Path

from streams.sources.abstract import Source, SourceChunk
from streams.sources.content import Content, ContentSettings, open_content, unreadable
from streams.sources.decompress import Progress


class FileOnce(Source):
    """Plain or compressed, chosen by its first bytes. A last line without line end is a line.

    A damaged compressed file is read up to the damage, less the line that is cut there; `damage` then says where it is.
    That is its end, unless a whole copy may come.

    Args:
        path: The file, or a named pipe.
        settings: How its content is read.
        progress: Told how many bytes were taken from the disk.
        damage_ends: False: where it is damaged it has not ended, only nothing more comes now.
    """

    def __init__(
        self, path: Path, settings: ContentSettings, progress: Progress | None = None, *, damage_ends: bool = True
    ) -> None:
        self._path, self._settings, self._progress = path, settings, progress
        self._content: Content | None = None
        self._ended, self._damage_ends = False, damage_ends

    def seek(self, generation: str, offset: int) -> bool:
        """See `Source`."""
        content = self._opened()
        if content.identify(final=True) == generation and content.start_at(offset, final=True):
            return True
        content.close()
        self._content = None
        return False

    def read(self, max_lines: int, now_us: int) -> SourceChunk | None:
        """See `Source`."""
        del now_us
        if self._ended:
            return None
        content = self._opened()
        try:
            chunk = content.read(max_lines, final=True)
        except OSError as error:
            raise unreadable(self._path, error) from error
        if chunk is None and not content.busy:
            self._ended = True
            self.damage = content.damage
        return chunk

    @property
    def ended(self) -> bool:
        """See `Source`."""
        return self._ended and (self._damage_ends or self.damage is None)

    @property
    def busy(self) -> bool:
        """See `Source`."""
        return self._content is not None and self._content.busy

    def close(self) -> None:
        """See `Source`."""
        if self._content is not None:
            self._content.close()
            self._content = None

    def _opened(self) -> Content:
        if self._content is None:
            try:
                self._content = open_content(self._path, self._settings, self._progress)
            except OSError as error:
                raise unreadable(self._path, error) from error
        return self._content
