"""`[privacy]`: whether names are replaced, where the keys are, and how long what is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import ConfigError

KEY_FILE = "aupstream.keys"
_STRICT = ConfigDict(frozen=True, extra="forbid")
_DAYS = Field(default=0, ge=0, le=36_500)


class Retention(BaseModel):
    """`[privacy.retention]`: days after which rows and messages go; 0 keeps them for ever.

    Days count from the time of the event, of a violation from its last event. Names go when nothing that may use them
    is left.
    """

    model_config = _STRICT

    events_days: int = _DAYS
    violations_days: int = _DAYS
    evidence_days: int = _DAYS
    dead_letters_days: int = _DAYS
    # The longest window of a shipped rule, and an outage with what it takes to catch up: see `checks_kafka.retention`.
    kafka_days: int = Field(default=9, ge=1, le=3_650, description="Events and detections on Kafka.")
    identity_days: int = Field(default=60, ge=1, le=3_650, description="Who had which address, on Kafka.")
    appeal_days: int = Field(default=30, ge=0, le=3_650, description="So long a violation may be appealed against.")

    @property
    def names_days(self) -> int:
        """As long as anything that uses them; 0: for ever."""
        kept = (self.events_days, self.violations_days, self.evidence_days)
        return 0 if 0 in kept else max(kept)

    def doubts(self) -> Iterator[str]:
        """What does not go together, as sentences."""
        for name, why in (
            ("violations_days", "a violation would be gone before the appeal against it ends"),
            ("evidence_days", "there would be no evidence left for an appeal"),
        ):
            days = getattr(self, name)
            if days and days < self.appeal_days:
                yield f"{name} = {days} is less than appeal_days = {self.appeal_days}: {why}"
        if self.evidence_days and (not self.violations_days or self.violations_days > self.evidence_days):
            yield "violations are kept longer than evidence_days: the older ones cannot be proved any more"
        if self.violations_days and (not self.evidence_days or self.evidence_days > self.violations_days):
            yield "evidence_days is longer than violations_days: evidence goes with its violation all the same"
        if self.events_days and self.events_days < self.kafka_days:
            yield f"kafka_days = {self.kafka_days} keeps events with names longer than events_days = {self.events_days}"
        if self.identity_days < self.kafka_days:
            yield "identity_days is less than kafka_days: events could not be judged again with who it was"


class Privacy(BaseModel):
    """`[privacy]`.

    Attributes:
        pseudonyms: Whether names are replaced in what analysts see. Not said: yes where it runs, no in a backtest.
        key_file: Default: `aupstream.keys` beside the configuration, else in the user's configuration folder.
        retention: How long what is kept.
    """

    model_config = _STRICT

    pseudonyms: bool | None = None
    key_file: Path | None = None
    retention: Retention = Retention()

    @property
    def on(self) -> bool:
        """Whether a running system replaces names."""
        return self.pseudonyms is not False

    def keys(self, data: Path) -> Path:
        """The key file.

        Args:
            data: The data folder, which must not hold it: a copy of the data would be a copy of the names.

        Raises:
            ConfigError: it does.
        """
        path = (self.key_file or _of_user()).absolute()
        if path.resolve().is_relative_to(data.resolve()):
            hint = "set privacy.key_file to a place outside the data folder"
            raise ConfigError("the keys of pseudonyms would lie beside the data", where=str(path), hint=hint)
        return path


def resolve_keys(data: dict[str, Any], folder: Path) -> None:
    """Make `privacy.key_file` of a configuration file absolute; where it says none, one beside it."""
    table = data.setdefault("privacy", {})
    if not isinstance(table, dict):
        return
    named = table.get("key_file")
    if isinstance(named, str):
        table["key_file"] = str(folder / named)
    elif named is None and not folder.resolve().is_relative_to(Path(str(data["data"])).resolve()):
        table["key_file"] = str(folder / KEY_FILE)


def _of_user() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "aupstream" / KEY_FILE
