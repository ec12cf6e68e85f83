"""Run a command that is told to stop when its parent dies. Run as a script: ``tether.py PARENT_PID COMMAND...``.

Only the standard library, and nothing of this project, so that it starts fast. ``PR_SET_PDEATHSIG`` (prctl(2)) makes
the kernel send SIGTERM to this process when the thread that made it ends; it survives ``exec``. Where there is no such
call (not Linux), a child that outlives its parent is stopped at the next start, by its pid file.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to ``PARENT_PID`` and become ``COMMAND``."""
    parent = int(arguments[0])
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            # The parent died before the call above: nobody would send the signal any more.
            sys.exit("the parent process is gone")
    # Ctrl-C reaches the whole foreground group; the parent alone decides when its parts stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.execv(arguments[1], arguments[1:])  # noqa: S606 - without a shell is what is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
