"""Messages that a product cuts into numbered pieces for syslog, put together again: Cisco ISE, Aruba ClearPass.

A message's event stands at the line that completes it; its other lines are ignored (`record_part`), each when it is
read, so that every line is decided at once. Pieces may come in any order. Where one never comes, the message is told as
far as it is known: once the source has gone on for `WAIT_LINES` lines, or too many messages are open.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.login.reasons_network import NetworkIgnored
from streams.normalisers.reasons import Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser

WAIT_LINES = 2_000
"""Lines after its newest piece at which a message is told without the rest."""

MAX_OPEN = 1_000
MAX_PIECES = 64
MAX_CHARACTERS = 262_144
"""Of one message; what is longer is no message of these products."""


class Piece(NamedTuple):
    """A piece of a message.

    Attributes:
        key: What all pieces of a message have in common.
        total: How many there are.
        number: Which one it is, from 0.
        text: What it holds.
    """

    key: str
    total: int
    number: int
    text: str


class SegmentNormaliser(RecordNormaliser):
    """Messages in pieces; a subclass says what a piece is (`piece`) and what a whole message says (`message`)."""

    GLUE: ClassVar[str] = ""  # between two pieces

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._open: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._line_number = 0

    @abstractmethod
    def piece(self, head: Head) -> Piece | Read:
        """The piece in a line, or what a line says that is none."""

    @abstractmethod
    def message(self, key: str, text: str) -> Read:
        """What a message says."""

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        self._line_number += 1
        found = self.piece(head)
        taken = self._taken(found) if isinstance(found, Piece) else found
        if not self._open or isinstance(taken, Unreadable):
            return taken
        overdue = self._overdue()
        if not overdue:
            return taken
        return overdue + (taken if isinstance(taken, list) else [taken] if isinstance(taken, dict) else [])

    def _taken(self, piece: Piece) -> Read:
        if piece.total <= 1:
            return self.message(piece.key, piece.text)
        if piece.total > MAX_PIECES or piece.number >= piece.total:
            return Unreadable(Refused.BAD_FIELD, f"piece {piece.number} of {piece.total}")
        known = self._open.pop(piece.key, None)
        if known is None or known["total"] != piece.total:
            known = {"total": piece.total, "pieces": {}, "size": 0}
        known["size"] += len(piece.text)
        if known["size"] > MAX_CHARACTERS:
            return Unreadable(Refused.LINE_TOO_LONG, f"a message of {known['size']} characters")
        known["pieces"][str(piece.number)] = piece.text
        known["line"] = self._line_number
        if len(known["pieces"]) == piece.total:
            return self.message(piece.key, self._joined(known))
        self._open[piece.key] = known
        return NetworkIgnored.RECORD_PART

    def _joined(self, known: Mapping[str, Any]) -> str:
        pieces: dict[str, str] = known["pieces"]
        return self.GLUE.join(pieces[number] for number in sorted(pieces, key=int))

    def _overdue(self) -> list[Fact]:
        """Messages that wait no longer, as far as they say anything."""
        facts: list[Fact] = []
        while self._open:
            key, known = next(iter(self._open.items()))
            if len(self._open) <= MAX_OPEN and self._line_number - known["line"] < WAIT_LINES:
                break
            del self._open[key]
            if "0" in known["pieces"]:  # the piece that says when and what
                said = self.message(key, self._joined(known))
                if isinstance(said, dict) and "timestamp" in said:
                    facts.append(said)
        return facts

    def remember(self) -> dict[str, Any]:
        """Open messages, and the number of lines read."""
        return {"open": list(self._open.items()), "lines": self._line_number}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        found, lines = saved.get("open", []), saved.get("lines", 0)
        self._open = OrderedDict((str(key), _checked(known)) for key, known in found)
        self._line_number = int(lines)


def _checked(known: Mapping[str, Any]) -> dict[str, Any]:
    pieces = {str(int(number)): str(text) for number, text in dict(known["pieces"]).items()}
    return {"total": int(known["total"]), "pieces": pieces, "size": int(known["size"]), "line": int(known["line"])}
