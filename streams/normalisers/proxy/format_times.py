"""The time of a line whose format string says it in one or several codes."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.proxy.chunks import STAMP
from streams.normalisers.proxy.squid_forms import common_time, mapped_times
from streams.normalisers.proxy.strftimes import Written, moment, parts
from streams.normalisers.times import SourceClock

_MICROS = 1_000_000


@dataclass(slots=True)
class TimeCodes:
    """Captures that tell the time, in the order of the codes.

    Attributes:
        seconds: Capture of seconds since 1970, with or without a fraction behind a point.
        units: Captures of whole numbers since 1970, and how many of them a second has.
        fraction: Capture of a fraction of the second as a whole number, and how many digits it stands for.
        texts: Captures written by a strftime format.
    """

    seconds: str = ""
    units: dict[str, int] = field(default_factory=dict)
    fraction: tuple[str, int] | None = None
    texts: dict[str, Written] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.seconds or self.units or self.texts)

    @property
    def complete(self) -> bool:
        """Whether they tell a date and a time of day."""
        told = {letter for how in self.texts.values() for letter in how.directives}
        date = ("d" in told and told & set("mbB")) or told >= {"j", "Y"}
        return bool(self.seconds or self.units or "s" in told or (date and told & set("HI")))

    def timed(self, captures: pl.DataFrame, clock: SourceClock) -> pl.DataFrame:
        """Captures, given in the order of their lines, with `timestamp` and, as it is written, `stamp`."""
        stamp = next(iter((self.seconds, *self.units, *self.texts)[not self.seconds :]))
        times = self._times(captures, clock).alias("timestamp")
        return captures.with_columns(times, captures[stamp].alias(STAMP))

    def _times(self, captures: pl.DataFrame, clock: SourceClock) -> pl.Series:
        if self.seconds or self.units:
            return captures.select(self._since_1970().alias("timestamp"))["timestamp"]
        texts = captures.select(pl.concat_str(*self.texts, separator="\x00").alias("text"))["text"]
        if any({"z", "s"} & set(how.directives) for how in self.texts.values()):
            scratch = SourceClock(NormaliserSettings())
            found = mapped_times(texts, lambda text: common_time(text) or self._moment(text, scratch))
        else:
            found = self._in_order(texts, clock)
        if self.fraction is None:
            return found
        return pl.DataFrame({"found": found, "f": self._fraction(captures)}).select(pl.col("found") + pl.col("f"))[
            "found"
        ]

    def _in_order(self, texts: pl.Series, clock: SourceClock) -> pl.Series:
        """Local times: which of two equal hours it is, the line before tells."""
        found: list[int | None] = []
        last, value = None, None
        for text in texts:
            if text != last:
                last, value = text, None if text is None else self._moment(text, clock)
            found.append(value)
        return pl.Series(found, dtype=pl.Int64)

    def _moment(self, text: str, clock: SourceClock) -> int | None:
        merged: dict[str, str] = {}
        for part, how in zip(text.split("\x00"), self.texts.values(), strict=False):
            found = parts(part, how)
            if found is None:
                return None
            merged = {**found, **merged}
        return moment(merged, clock)

    def _since_1970(self) -> pl.Expr:
        if self.units:
            name, a_second = next(iter(self.units.items()))
            return pl.col(name).cast(pl.Int64, strict=False) * (_MICROS // a_second)
        cut = pl.col(self.seconds).str.splitn(".", 2)
        whole = cut.struct.field("field_0").cast(pl.Int64, strict=False) * _MICROS
        decimals = cut.struct.field("field_1").fill_null("").str.slice(0, 6).str.pad_end(6, "0")
        found = whole + decimals.cast(pl.Int64, strict=False)
        return found if self.fraction is None else found + self._expression()

    def _expression(self) -> pl.Expr:
        assert self.fraction is not None
        name, digits = self.fraction
        return pl.col(name).cast(pl.Int64, strict=False) * int(10 ** (6 - min(digits, 6)))

    def _fraction(self, captures: pl.DataFrame) -> pl.Series:
        return captures.select(self._expression().alias("f"))["f"]
