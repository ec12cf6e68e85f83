"""Generated passwords, each in a file that only its owner can read.

A password never appears on a command line, in the environment or in a log; other processes get the file's path.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from infra.embedded.errors import FolderError


def ensure(path: Path) -> str:
    """The password in ``path``, generated (192 random bits, URL-safe) when the file does not exist.

    Mode 0600 is set again at every call. Raises `FolderError` when the file is empty or cannot be read.
    """
    if not path.exists():
        _create(path)
    try:
        path.chmod(0o600)
        value = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FolderError(
            f"the password file cannot be used: {error}",
            where=str(path),
            todo="Make it readable for the user who runs `up`, or delete it to get a new password.",
        ) from error
    if not value:
        raise FolderError("the password file is empty", where=str(path), todo="Delete it to get a new password.")
    return value


def _create(path: Path) -> None:
    """Write through a part file that is 0600 from its first byte on, then rename."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(24) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
