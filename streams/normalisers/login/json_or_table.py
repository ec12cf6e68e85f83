"""Formats that come as JSON, and as a table with a line of names where a person downloaded them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from streams.normalisers.json_records import JsonNormaliser
from streams.normalisers.reasons import IgnoredReason
from streams.normalisers.records import Head, Read
from streams.normalisers.tables import TableNormaliser, cells


class JsonOrTableNormaliser(JsonNormaliser, TableNormaliser):
    """Lines that begin with a brace or bracket are JSON, others rows once a line has named the columns.

    A subclass names in `KEY_COLUMNS` the columns of which a line must have all to be the one that names them.
    """

    KEY_COLUMNS: ClassVar[tuple[frozenset[str], ...]]

    def names_of(self, message: str) -> Sequence[str] | IgnoredReason | None:
        """See `TableNormaliser.names_of`; names are compared and kept in lower case."""
        if "," not in message:
            return None
        names = [name.strip().lower() for name in cells(message.removeprefix("\ufeff")) or ()]
        return names if any(keys <= set(names) for keys in self.KEY_COLUMNS) else None

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        if head.message[:1] in ("{", "["):
            return JsonNormaliser.read(self, head)
        if self.names or self.names_of(head.message) is not None:
            return TableNormaliser.read(self, head)
        return JsonNormaliser.read(self, head)

    @abstractmethod
    def row(self, values: Mapping[str, str], head: Head) -> Read:
        """See `TableNormaliser.row`."""
