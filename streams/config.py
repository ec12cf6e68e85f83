"""What a source's configuration tells its collector. Frozen: nothing below the composition root changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from schemas.errors import ConfigError
from schemas.kinds import EventKind
from schemas.sealing import Sealer
from streams.normalisers import registry
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.custom.spec import FormatSpec

LEDGER_CHUNK = 1 << 20  # bytes of decompressed content a ledger chunk; part of the ledger's meaning, not a setting


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One log.

    Attributes:
        name: Configured name; part of every event id.
        type: Type of its normaliser, e.g. `squid`.
        path: File, pattern for files, `-` for standard input, `kafka://host:port,…/topic#partition`, or `spool://` and
            the folder of a listener's spool.
        mode: `once` (read to its end, then progress is plus infinity) or `follow` (through rotation, for ever).
        timezone: Zone of times that carry none.
        year: Year of the first line where times carry none; None: from the date the source was first read.
        lateness_s: Disorder tolerated, seconds of event time.
        join_max_s: Event-time seconds after which an open join is flushed.
        max_joins: Open joins kept at most; beyond it the oldest is flushed.
        jump_max_s: A row further ahead of the source's maximum than this is held until it is confirmed or refuted.
        batch_rows: Rows a batch at most. Changes how rows travel, never what they say.
        block_bytes: Bytes of decompressed content a position block; a block goes whole to one partition.
        linger_ms: A row waits so long at most for its batch to fill.
        encoding: Character set of the log as configured. Normalisers take UTF-8; another one is decoded on the way.
        max_line_bytes: Longer lines are dead letters.
        max_content_bytes: Of a compressed file so many bytes of content are read at most.
        timeline: Empty for live, else the name of a backfill or replay.
        idle_covers_s: A followed log that has been read to its end for so many seconds is taken to have covered the
            time since its newest line, so that a quiet log does not hold up rules that read it beside others. Lines
            that are older all the same are stamped late. None: progress stands still while the log is quiet.
        keep_subject: Store the subjects of messages, not their hashes alone.
        mask_parameters: Names of URL parameters whose values are masked, beside those that name a secret; lower case.
        options: Settings of the type alone; see its page.
        format: A format of one's own, in place of a type that comes with aupstream; `type` is its name then.
    """

    name: str
    type: str
    path: str = "-"
    mode: str = "once"
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    year: int | None = None
    lateness_s: float = 30.0
    join_max_s: int = 86_400
    max_joins: int = 100_000
    jump_max_s: float = 30 * 86_400.0
    batch_rows: int = 5_000
    block_bytes: int = 1 << 20
    linger_ms: int = 250
    encoding: str = "utf-8"
    max_line_bytes: int = 65_536
    max_content_bytes: int = 64 << 30
    timeline: str = ""
    idle_covers_s: float | None = 30.0
    keep_subject: bool = False
    mask_parameters: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)
    format: FormatSpec | None = None

    def __post_init__(self) -> None:
        where = f"sources.{self.name or '?'}"
        if not self.name:
            raise ConfigError("a source has no name", where=where, hint="give it a name, e.g. its type")
        if self.mode not in ("once", "follow"):
            raise ConfigError(f"mode is {self.mode!r}", where=f"{where}.mode", hint="write once or follow")
        if self.mode == "follow" and self.path == "-":
            raise ConfigError(
                "standard input cannot be followed", where=f"{where}.mode", hint='write mode = "once" for path = "-"'
            )
        for key in ("batch_rows", "block_bytes", "max_line_bytes", "max_content_bytes", "max_joins"):
            if getattr(self, key) < 1:
                raise ConfigError(f"{key} is {getattr(self, key)}", where=f"{where}.{key}", hint="write 1 or more")
        for key in ("lateness_s", "jump_max_s", "linger_ms", "join_max_s"):
            if getattr(self, key) < 0:
                raise ConfigError(f"{key} is {getattr(self, key)}", where=f"{where}.{key}", hint="write 0 or more")
        _check_encoding(self.encoding, where)

    @property
    def kind(self) -> EventKind:
        """Kind of its events.

        Raises:
            ConfigError: there is no such type.
        """
        return registry.kind_of(self.type) if self.format is None else self.format.kind

    @property
    def lateness_us(self) -> int:
        """Lateness in microseconds."""
        return round(self.lateness_s * 1_000_000)

    @property
    def jump_max_us(self) -> int:
        """Largest credible jump ahead in microseconds."""
        return round(self.jump_max_s * 1_000_000)

    def normaliser_settings(self, first_seen: date) -> NormaliserSettings:
        """What the normaliser is to know; `first_seen` is the date at which this source was first read."""
        return NormaliserSettings(
            timezone=self.timezone,
            year=self.year,
            first_seen=first_seen,
            join_max_s=self.join_max_s,
            max_joins=self.max_joins,
            max_line_bytes=self.max_line_bytes,
            keep_subject=self.keep_subject,
            mask_parameters=self.mask_parameters,
            options=self.options,
            format=self.format,
        )


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """What is the same for all collectors of a process.

    Attributes:
        epoch: Offset of the newest record on `aup.sources` that is known.
        today: Date, for a source that is read for the first time.
        save_every_us: The position is saved at most this long after it has moved.
        save_every_bytes: Or after so many bytes of content.
        read_lines: Lines taken in one step at most.
        seal: Seals the lines of dead letters; None: they travel as they were logged.
    """

    epoch: int
    today: date
    save_every_us: int = 5_000_000
    save_every_bytes: int = 64 << 20
    read_lines: int = 10_000
    seal: Sealer | None = None


def is_wide(encoding: str) -> bool:
    """True for UTF-16: its lines are cut and decoded where they are read, others by whoever takes them."""
    return encoding.lower().replace("_", "-") in ("utf-16", "utf16", "utf-16-le", "utf-16-be")


def _check_encoding(encoding: str, where: str) -> None:
    """Refuse what is unknown, and what has line ends of several bytes other than UTF-16.

    Raises:
        ConfigError: the name is unknown or lines cannot be found in such content.
    """
    try:
        newline = "\n".encode(encoding)
    except LookupError as error:
        raise ConfigError(
            f"encoding {encoding!r} is unknown",
            where=f"{where}.encoding",
            hint="write e.g. utf-8, latin-1 or utf-16",
        ) from error
    if newline != b"\n" and not is_wide(encoding):
        raise ConfigError(
            f"encoding {encoding!r} does not end lines with one byte",
            where=f"{where}.encoding",
            hint="write utf-16, utf-16-le or utf-16-be, or convert the file to UTF-8 first, e.g. with iconv",
        )
