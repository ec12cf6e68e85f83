"""Builds `shim.c` and tells it whose clock is wrong and whose disk is full."""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "AUPSTREAM_CHAOS_TABLE"
_ENTRIES = 64
_ENTRY = struct.Struct("<qqq")
_COUNT = struct.Struct("<q")
_SOURCE = Path(__file__).with_name("shim.c")


def compiler() -> str | None:
    """Of C; None where there is none, or where libraries cannot be preloaded in this way."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None) if sys.platform == "linux" else None


@dataclass(slots=True)
class _State:
    clock_ns: int = 0
    full: bool = False


class Shim:
    """The table that preloaded processes read.

    Args:
        folder: For library and table.

    Raises:
        RuntimeError: it cannot be built.
    """

    def __init__(self, folder: Path) -> None:
        library, path = folder / "shim.so", folder / "shim.table"
        command = [
            compiler() or "cc",
            "-shared",
            "-fPIC",
            "-O2",
            "-Wall",
            "-Werror",
            "-o",
            str(library),
            str(_SOURCE),
            "-ldl",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the shim cannot be built: {done.stderr}")
        path.write_bytes(bytes(_COUNT.size + _ENTRIES * _ENTRY.size))
        self.environment = {"LD_PRELOAD": str(library), VARIABLE: str(path)}
        with path.open("r+b") as file:
            self._table = mmap.mmap(file.fileno(), 0)
        self._states: dict[int, _State] = {}

    def clock(self, pid: int, seconds: float) -> None:
        """Put a process's clock forward, or back where negative; 0: right again."""
        self._states.setdefault(pid, _State()).clock_ns = round(seconds * 1e9)
        self._write()

    def full(self, pid: int, *, full: bool) -> None:
        """Let a process find its disk full, or not."""
        self._states.setdefault(pid, _State()).full = full
        self._write()

    def _write(self) -> None:
        wrong = [(pid, s) for pid, s in self._states.items() if s.clock_ns or s.full][:_ENTRIES]
        for i, (pid, state) in enumerate(wrong):
            _ENTRY.pack_into(self._table, _COUNT.size + i * _ENTRY.size, pid, state.clock_ns, state.full)
        _COUNT.pack_into(self._table, 0, len(wrong))

    def close(self) -> None:
        """Let go of the table; everything is right again."""
        _COUNT.pack_into(self._table, 0, 0)
        self._table.close()


def preloaded(pid: int) -> bool:
    """Whether a process has the shim."""
    try:
        return "shim.so" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False


def preload(shim: Shim) -> dict[str, str | None]:
    """Have every process that is started from now on preload it; what stood in the environment before."""
    before = {name: os.environ.get(name) for name in shim.environment}
    os.environ.update(shim.environment)
    return before
