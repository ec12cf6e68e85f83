"""What can go wrong with the embedded servers, each error with what, where and what to do."""

from __future__ import annotations


class EmbeddedError(Exception):
    """Base of all errors of this package.

    ``what`` says what is wrong, ``where`` names the file, port or process, ``todo`` says what the reader can do.
    """

    def __init__(self, what: str, *, where: str, todo: str) -> None:
        super().__init__(what, where, todo)
        self.what = what
        self.where = where
        self.todo = todo

    def __str__(self) -> str:
        return f"{self.what} [{self.where}] {self.todo}"


class AlreadyRunningError(EmbeddedError):
    """Another ``up`` holds this data folder."""


class PortTakenError(EmbeddedError):
    """A remembered port is held by another process while clients already know the address."""


class JarMismatchError(EmbeddedError):
    """A jar is not the one that the lock file names; nothing was started."""


class JarDownloadError(EmbeddedError):
    """A jar could not be fetched: no network, or the repository does not have it."""


class DiskFullError(EmbeddedError):
    """There is no room for a download, a log or the data."""


class StartError(EmbeddedError):
    """A part did not become ready; the end of its log is part of the message."""


class SelfTestError(EmbeddedError):
    """The ClickHouse engine does not behave as this code assumes."""


class FolderError(EmbeddedError):
    """The data folder cannot be used: not writable, or a file in it is damaged."""
