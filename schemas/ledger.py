"""A record of `aup.ledger`, as those who read it take it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Count = Annotated[int, Field(ge=0, lt=2**64)]


class LedgerRecord(BaseModel):
    """What became of the lines of one chunk, as `streams.ledger` writes it; what a newer release adds is left out."""

    model_config = ConfigDict(strict=True, extra="ignore")

    source: str
    type: str = ""
    generation: str = ""
    timeline: str = ""
    chunk: _Count = 0
    version: _Count = 0
    final: bool = False
    first_offset: _Count = 0
    end_offset: _Count = 0
    lines: _Count = 0
    in_events: _Count = 0
    events: _Count = 0
    dead_letters: _Count = 0
    open_joins: _Count = 0
    ignored: dict[str, _Count] = Field(default_factory=dict)
    late: _Count = 0
    time_suspect: _Count = 0
    sha256: str = ""


FIELDS = tuple(LedgerRecord.model_fields)
