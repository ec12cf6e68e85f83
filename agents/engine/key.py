"""What a bucket keeps for one rule and one group key: the seam that every kind of rule fills in its own way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from agents.context.calendar import Calendar
from agents.engine.episodes import Episode, Judge, Records
from agents.engine.rows import Row
from agents.rules.model import Rule
from schemas.headers import NEVER

LONG_AGO = NEVER


@dataclass(slots=True)
class Setting:
    """What all keys of a rule share.

    Attributes:
        rule: The rule.
        judge: What episodes are judged with.
        timeline: Empty for live.
        calendar: The district's.
        incomplete: True while one of the rule's sources is absent.
        whole_from: What holds a row before this time may lack others, which were lost.
        blind_until: Newest watermark reached while one was: before it nothing can be said to be missing.
        covered_to: Newest time that the sources are known to have covered.
        early: Rows that left a window, or values that a period did not count, because no more are kept.
        gaps: Deadlines of expected keys that could not be judged because a source was absent.
    """

    rule: Rule
    judge: Judge
    timeline: str = ""
    calendar: Calendar = field(default_factory=Calendar)
    incomplete: bool = False
    whole_from: int = NEVER
    blind_until: int = NEVER
    covered_to: int = NEVER
    early: int = 0
    gaps: int = 0


class Key(ABC):
    """One key of a rule. Rows come in (time, event id) order, and times given never go back.

    The outcome does not depend on when or how often `tick` and `settle` are called.
    """

    __slots__ = ("episode", "group_key", "incomplete", "setting")

    def __init__(self, setting: Setting, group_key: str) -> None:
        self.setting, self.group_key = setting, group_key
        self.episode: Episode | None = None
        self.incomplete = False

    @abstractmethod
    def apply(self, row: Row, out: Records) -> None:
        """Take the next row."""

    @abstractmethod
    def tick(self, now: int, out: Records) -> None:
        """Let time pass up to, not including, `now`: what ends or begins without a row does so at its own instant."""

    @abstractmethod
    def alarm(self) -> int | None:
        """The instant after which `tick` must be called, if any."""

    @abstractmethod
    def until(self) -> int:
        """Event time from which the key may be forgotten, if nothing more comes; at least `alarm`."""

    @abstractmethod
    def cut(self, at: int, out: Records) -> None:
        """End the open episode, if any, because the rule is gone at a time or counts in another way from it on."""

    @abstractmethod
    def meets(self, at: int) -> bool:
        """Measure the open episode by limits that have changed at a time; False where it does not meet them."""

    @abstractmethod
    def to_state(self) -> list[object]:
        """Plain values for a snapshot."""

    @abstractmethod
    def from_state(self, state: list[Any]) -> None:
        """Take back what `to_state` gave, into a new key."""

    def tell(self, episode: Episode, out: Records, *, closed_at: int | None) -> None:
        """Hand on the next version of an episode."""
        setting = self.setting
        out.append(
            episode.record(
                setting.rule, setting.judge, closed_at=closed_at, timeline=setting.timeline, incomplete=self.incomplete
            )
        )
