"""Where things are inside the data folder."""

from __future__ import annotations

import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DataPaths:
    """Paths below the configured data folder.

    Attributes:
        folder: The data folder.
    """

    folder: Path

    @property
    def servers(self) -> Path:
        """The embedded servers' own folder."""
        return self.folder / "servers"

    @property
    def positions(self) -> Path:
        """Saved positions of sources."""
        return self.folder / "positions"

    @property
    def logs(self) -> Path:
        """Logs of collectors and agents."""
        return self.folder / "logs"

    @property
    def status(self) -> Path:
        """One status file a process, replaced every half second."""
        return self.folder / "status"

    def status_of(self, name: str) -> Path:
        """Status file of one process."""
        return self.status / f"{name}.json"

    @property
    def settings(self) -> Path:
        """What worker processes are told; has the ClickHouse password: mode 0600."""
        return self.folder / "run" / "agents.json"

    @property
    def roll(self) -> Path:
        """Who ought to run here; locked by who keeps them running."""
        return self.folder / "run" / "roll"

    @property
    def context(self) -> Path:
        """Copies of inventory, roster and permits, a folder a version."""
        return self.folder / "context"

    @property
    def rejudge(self) -> Path:
        """What judging again is about to tell, and the rules it judges by; has names of people."""
        return self.folder / "rejudge"

    @property
    def replaying(self) -> Path:
        """Locked by who replays dead letters."""
        return self.folder / "run" / "replaying"

    @property
    def faust(self) -> Path:
        """Faust's own files."""
        return self.folder / "faust"

    @property
    def in_the_way(self) -> Path | None:
        """What stands where the folder, or one that it is in, is to be made, and is no folder; None: nothing."""
        for path in (self.folder, *self.folder.parents):
            with suppress(FileNotFoundError, NotADirectoryError):
                return None if stat.S_ISDIR(path.stat().st_mode) else path
        return None

    def make(self) -> None:
        """Make the folders."""
        for path in (self.positions, self.logs, self.status, self.settings.parent, self.faust):
            path.mkdir(parents=True, exist_ok=True)
