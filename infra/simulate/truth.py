"""What a simulated day holds: the violations that must be found, what only looks like them, and the broken lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.errors import InputError

FILE = "truth.json"


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that no normaliser can read.

    Attributes:
        file: Log file.
        line: Its number in the file, from 1.
        reason: Reason of the dead letter, in the normalisers' vocabulary.
    """

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Expected:
    """A violation that must be found.

    Attributes:
        rule_id: Rule.
        clause: Clause of the policy.
        group_key: Column name and value that the rule's window is kept per.
        first_seen: Time of its first event, ISO 8601 in UTC.
        status: `violation`, `permitted` or `informational`.
        why: What was done, for a person.
    """

    rule_id: str
    clause: int
    group_key: Mapping[str, str]
    first_seen: str
    status: str
    why: str


@dataclass(frozen=True, slots=True)
class Lookalike:
    """Something innocent near a threshold.

    Attributes:
        kind: Which kind of look-alike, see the scenario modules.
        rule_id: Rule that it must not break.
        who: Account, mail address, MAC or IP address that must not be accused.
        why: Why it is innocent, for a person.
    """

    kind: str
    rule_id: str
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Truth:
    """All that is known of a simulated day.

    Attributes:
        seed: The seed it came from.
        lines: Number of lines by log file.
        dead_letters: Broken lines by file and number.
        expected: Violations by time of the first event.
        lookalikes: In the order in which they were made.
    """

    seed: int
    lines: Mapping[str, int]
    dead_letters: tuple[Broken, ...]
    expected: tuple[Expected, ...]
    lookalikes: tuple[Lookalike, ...]

    def to_json(self) -> str:
        """The text of `truth.json`: the attributes under their own names, indented, ended by LF."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @staticmethod
    def read(folder: Path) -> Truth:
        """Read `truth.json` of a simulated day.

        Raises:
            InputError: it is missing or not such a file.
        """
        path = folder / FILE
        try:
            got: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return Truth(
                got["seed"],
                got["lines"],
                tuple(Broken(**b) for b in got["dead_letters"]),
                tuple(Expected(**e) for e in got["expected"]),
                tuple(Lookalike(**x) for x in got["lookalikes"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            what = f"no truth of a simulated day: {error}"
            raise InputError(what, where=str(path), hint="make one with `aupstream simulate`") from error
