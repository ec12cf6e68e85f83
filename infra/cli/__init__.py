"""The `aupstream` command."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    _settle_streams()
    from infra.cli.app import app  # noqa: PLC0415 - importing this package has no cost and no effect

    app(prog_name="aupstream")


def _settle_streams() -> None:
    """Closed standard streams become the null device, and no character is refused whatever the locale."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
