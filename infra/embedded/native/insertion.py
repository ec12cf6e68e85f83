"""INSERT with rows from the client: what they must look like, then block after block into the engine."""

from __future__ import annotations

import re
from typing import Final

from infra.embedded.native import sql
from infra.embedded.native.columns import empty_block
from infra.embedded.native.engine import Insert, Session
from infra.embedded.native.faults import ServerError, from_engine

_PLAIN_LIST: Final = re.compile(r"\(\s*(?:[\w.]+|`[^`]+`|\"[^\"]+\")(?:\s*,\s*(?:[\w.]+|`[^`]+`|\"[^\"]+\"))*\s*\)")


def sample_block(session: Session, text: str) -> bytes:
    """Names and types of the columns that the client is to send, as a block without rows.

    Raises `ServerError`: no such table, no such column.
    """
    target, columns = sql.insert_target(text)
    described_as = re.sub(r"^FUNCTION\s+", "", target, flags=re.IGNORECASE)
    all_columns = session.describe(described_as)
    if not columns:
        return empty_block([(name, kind) for name, kind, default in all_columns if default not in _COMPUTED])
    if _PLAIN_LIST.fullmatch(columns):
        types = {name: kind for name, kind, _ in all_columns}
        names = [_unquoted(token) for token in sql.tokens(_dotted(columns)) if token.kind in ("word", "quoted")]
        if all(name in types for name in names):
            return empty_block([(name, types[name]) for name in names])
    # Patterns such as (* EXCEPT x), and unknown names: the engine's own judgement, and its own words.
    selected = session.describe(f"(SELECT {columns.strip()[1:-1]} FROM {described_as})")  # noqa: S608 - quoted, or the own text of who asks
    return empty_block([(name, kind) for name, kind, _ in selected])


_COMPUTED: Final = ("MATERIALIZED", "ALIAS", "EPHEMERAL")


def _dotted(columns: str) -> str:
    """Names of nested columns (``a.b``) quoted, so that they are one token."""
    return re.sub(r"(?<![`\"\w])(\w+(?:\.\w+)+)(?![`\"\w])", r"`\1`", columns)


def _unquoted(token: sql.Token) -> str:
    return token.text[1:-1] if token.kind == "quoted" else token.text


class RowSink:
    """Takes blocks until one fails; the failure is kept, because the client goes on sending until it is done."""

    def __init__(self, insert: Insert) -> None:
        self._insert = insert
        self.failure: ServerError | None = None
        self.rows = 0
        self.size = 0

    def take(self, body: bytes, rows: int) -> None:
        """One more block. Never raises."""
        if self.failure is None:
            try:
                self._insert.append(body)
            except Exception as error:  # noqa: BLE001 - chdb raises what it likes; the client gets it as ServerError
                self.fail(from_engine(error))
            self.rows += rows
            self.size += len(body)

    def fail(self, failure: ServerError) -> None:
        """Give up: nothing more goes into the engine."""
        if self.failure is None:
            self.failure = failure
            self.cancel()

    def cancel(self) -> None:
        """Drop what the engine has not stored yet. Never raises."""
        try:
            self._insert.cancel()
        except Exception as error:  # noqa: BLE001 - see above
            self.failure = self.failure or from_engine(error)

    def finish(self) -> None:
        """Make it durable. Raises the first failure as `ServerError`; after that parts of it may be stored."""
        if self.failure is None:
            try:
                self._insert.finish()
            except Exception as error:
                raise from_engine(error) from error
        if self.failure is not None:
            raise self.failure
