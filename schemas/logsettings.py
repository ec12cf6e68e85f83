"""How processes log, as it is configured; apart from `schemas.logs`, which every command loads, and quickly."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import BaseModel, ConfigDict

Format = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]
FORMAT_VARIABLE, LEVEL_VARIABLE = "AUPSTREAM_LOGS__FORMAT", "AUPSTREAM_LOGS__LEVEL"


class LogSettings(BaseModel):
    """`[logs]`: what processes write of themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Format = "text"
    level: Level = "info"

    def environment(self) -> dict[str, str]:
        """Variables that tell a process that is started the same."""
        return {FORMAT_VARIABLE: self.format, LEVEL_VARIABLE: self.level}

    @staticmethod
    def inherited() -> LogSettings:
        """What the environment says, until the configuration is read; what it says wrongly is the configuration's."""
        text, level = os.environ.get(FORMAT_VARIABLE), os.environ.get(LEVEL_VARIABLE)
        settings = LogSettings(format="json" if text == "json" else "text")
        known = ("debug", "info", "warning", "error")
        return settings.model_copy(update={"level": level}) if level in known else settings
