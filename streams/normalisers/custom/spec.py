"""What a format of one's own says of itself: the shape of `[formats.NAME]`. Whether it makes sense, `checks` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from schemas.kinds import EventKind

_STRICT = ConfigDict(frozen=True, extra="forbid")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; use a name such as America/Denver") from error
    return name


def _one_character(text: str) -> str:
    if len(text) != 1:
        raise ValueError(f"{text!r} is not one character")
    return text


class TimeSpec(BaseModel):
    """`[formats.NAME.time]`: where the time stands and how it is written."""

    model_config = _STRICT

    field: str | tuple[str, ...] = Field(description="Field, or several that are joined by a blank (date and time).")
    format: str = Field(
        default="iso",
        description="iso, epoch (s, ms, us or ns by size), syslog, common, ymd, mdy, dmy, or a strptime pattern",
    )
    timezone: Annotated[str, AfterValidator(_zone)] | None = Field(
        default=None, description="Zone of times without one; default: the source's."
    )


class FieldSpec(BaseModel):
    """How a column gets its value: from a field, or always the same."""

    model_config = _STRICT

    field: str | None = Field(default=None, description="Field of the record; of JSON a path: a.b[0].c")
    value: str | int | float | bool | None = Field(default=None, description="A constant in place of a field.")
    map: dict[str, str] = Field(default_factory=dict, description="The log's words to ours.")
    default: str | None = Field(default=None, description="Where the field is missing, empty, or not in `map`.")
    split: str | None = Field(default=None, min_length=1, description="For list columns: what separates the elements.")
    scale: float | None = Field(default=None, description="For numbers: multiply by this.")


def _field(value: Any) -> Any:
    return {"field": value} if isinstance(value, str) else value


class FormatSpec(BaseModel):
    """`[formats.NAME]`."""

    model_config = _STRICT

    kind: EventKind
    syntax: Literal["regex", "delimited", "pairs", "json", "w3c"]
    description: str = ""
    pattern: str = Field(default="", description="regex: with named groups; linear time, no look-around")
    delimiter: Annotated[str, AfterValidator(_one_character)] = ","
    quote: Annotated[str, AfterValidator(_one_character)] = '"'
    columns: tuple[str, ...] = Field(default=(), description="delimited: names in order; empty: from the header line")
    header: bool = Field(default=False, description="delimited: the first line of every file names the columns")
    ignore: str = Field(default="", description="Lines in which this expression is found are ignored")
    nulls: tuple[str, ...] = Field(default=("-",), description="Words that mean that nothing is stated")
    time: TimeSpec

    @property
    def preamble(self) -> Callable[[bytes], bool] | None:
        """Tells the lines at the head of every file that are the same in all of them; None where there are none."""
        if self.syntax == "w3c":
            return lambda line: line.startswith(b"#")
        if not self.header:
            return None
        names = (self.time.field,) if isinstance(self.time.field, str) else self.time.field
        wanted = [name.encode() for name in names]
        return lambda line: all(name in line for name in wanted)

    fields: dict[str, Annotated[FieldSpec, BeforeValidator(_field)]]
