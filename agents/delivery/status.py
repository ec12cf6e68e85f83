"""The status file that a worker replaces every half second."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_status(folder: Path, figures: Mapping[str, Any]) -> None:
    """Replace a worker's status file."""
    path = folder / f"{figures['worker']}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({**figures, "at": time.time()}))
    temporary.replace(path)
