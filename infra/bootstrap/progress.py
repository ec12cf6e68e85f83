"""How far an installation is, read from what pip prints."""

from __future__ import annotations

import re
import sys
import time

from infra.bootstrap.clone import say

SPEAK_EVERY_S = 5.0  # without a terminal; on one the line is redrawn


class Progress:
    """Turns pip's lines into a count. On a terminal one line is redrawn; elsewhere a line every few seconds."""

    def __init__(self, total: int, *, terminal: bool) -> None:
        self._total = total
        self._terminal = terminal
        self._started = self._spoken = time.monotonic()
        self._seen = 0
        self._megabytes = 0.0
        self._installing = False

    def feed(self, line: str) -> None:
        """Take note of one line of pip's output."""
        if line.startswith("Ignoring "):  # not for this platform or Python
            self._total -= 1
        elif line.startswith(("Collecting ", "Requirement already satisfied", "Obtaining ")):
            self._seen += 1
        elif size := re.search(r"Downloading \S+ \(([\d.]+) (kB|MB|GB)\)", line):
            self._megabytes += float(size[1]) * {"kB": 0.001, "MB": 1.0, "GB": 1000.0}[size[2]]
        elif line.startswith("Installing collected packages"):
            self._installing = True

    def show(self, *, last: bool = False) -> None:
        """Speak, if it is time to."""
        now = time.monotonic()
        if not last and now - self._spoken < (0.2 if self._terminal else SPEAK_EVERY_S):
            return
        self._spoken = now
        text = f"{self._seen} of {self._total} packages"
        if self._megabytes:
            text += f", {self._megabytes:.0f} MB downloaded"
        if self._installing:
            text = f"installing {self._total} packages"
        text += f", {now - self._started:.0f} s"
        if self._terminal:
            print(f"\r\x1b[Kaupstream: {text}", end="\n" if last else "", file=sys.stderr, flush=True)
        elif not last:
            say(text)
