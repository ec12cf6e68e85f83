"""Stored events as they were before their names were sealed, for rules that judge them again. Nothing is printed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agents.privacy.keys import read
from agents.privacy.pseudonyms import PATTERN
from infra.cli.configuration import Chosen
from infra.cli.output import warn
from infra.cli.store import Store, dsn_of
from infra.cli.unmasking import in_text, opened
from schemas.errors import ConfigError

_MOST = 500_000  # names that are remembered; then all are looked up again


class Unsealer:
    """Puts names in place of pseudonyms, in the spelling that they were sealed in.

    Args:
        chosen: Where they and the keys are. Without keys the pseudonyms stay, and a warning says so.
    """

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._names: dict[str, str] = {}
        self._store: Store | None = None
        self._warned = False
        self.used = False

    def rows(self, rows: list[dict[str, object]]) -> list[dict[str, object]]:
        """Rows of a table of events, columns by name."""
        found = {match[0] for row in rows for text in _texts(row.values()) for match in PATTERN.finditer(text)}
        if not found:
            return rows
        self._look_up(sorted(found if len(self._names) > _MOST else found - self._names.keys()))
        self.used = True
        return [{column: self._opened(value) for column, value in row.items()} for row in rows]

    def _look_up(self, pseudonyms: list[str]) -> None:
        try:
            keyring = read(self._chosen.config.privacy.keys(self._chosen.config.data))
        except ConfigError as error:
            if not self._warned:
                warn(f"events are judged by pseudonyms, which no rule on names or networks matches: {error}")
            self._warned = True
            return
        if len(self._names) > _MOST:
            self._names.clear()
        if self._store is None:
            self._store = Store(dsn_of(self._chosen))
        self._names |= opened(self._store, keyring, pseudonyms)

    def _opened(self, value: Any) -> Any:
        if isinstance(value, str):
            return in_text(value, self._names)
        return [self._opened(v) for v in value] if isinstance(value, list) else value

    def close(self) -> None:
        """Close the connection."""
        if self._store is not None:
            self._store.close()
            self._store = None


def _texts(values: Iterable[object]) -> Iterable[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (v for v in value if isinstance(v, str))
