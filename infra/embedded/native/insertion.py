"""INSERT with rows from the client: what they must look like, then block after block into the engine."""

from __future__ import annotations

import re
from typing import Final

from infra.embedded.native import sql
from infra.embedded.native.columns import empty_block
from infra.embedded.native.engine import Session
from infra.embedded.native.faults import ServerError
from infra.embedded.native.spool import Spool

_PLAIN_LIST: Final = re.compile(r"\(\s*(?:[\w.]+|`[^`]+`|\"[^\"]+\")(?:\s*,\s*(?:[\w.]+|`[^`]+`|\"[^\"]+\"))*\s*\)")
_COMPUTED: Final = ("MATERIALIZED", "ALIAS", "EPHEMERAL")
# ClickHouse's own min_insert_block_size_rows, and a quarter of its bytes: this is one machine.
_PIECE_ROWS: Final = 1_048_449
_PIECE_BYTES: Final = 64 * 1024 * 1024


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


def _dotted(columns: str) -> str:
    """Names of nested columns (``a.b``) quoted, so that they are one token."""
    return re.sub(r"(?<![`\"\w])(\w+(?:\.\w+)+)(?![`\"\w])", r"`\1`", columns)


def _unquoted(token: sql.Token) -> str:
    return token.text[1:-1] if token.kind == "quoted" else token.text


class RowSink:
    """Takes the client's blocks and gives them to the engine in pieces, as a ClickHouse server does.

    Blocks are gathered in an unnamed file in memory; at about a million rows or 64 MB, and at the end, the engine reads
    it with ``INSERT … FROM INFILE``. chdb has an interface made for this, ``send_insert``, which must not be used: with
    26.9 it reports success when a constraint or a materialised view fails, and the rows are gone.

    A failure is kept, because the client goes on sending until it is done; what was stored before it stays stored.
    """

    def __init__(self, session: Session, text: str) -> None:
        self._session = session
        self._head, self._settings = sql.split_settings(text)
        self._spool = Spool()
        self.failure: ServerError | None = None
        self.rows = 0
        self.size = 0
        self._waiting_rows = 0

    def take(self, body: bytes, rows: int) -> None:
        """One more block. Never raises a `ServerError`: `finish` does."""
        if self.failure is not None:
            return
        self._spool.write(body)
        self.rows += rows
        self.size += len(body)
        self._waiting_rows += rows
        if self._waiting_rows >= _PIECE_ROWS or self._spool.size >= _PIECE_BYTES:
            self._store()

    def finish(self) -> None:
        """Have the rest stored; after this all rows are. Raises the first failure as `ServerError`."""
        if self.failure is None and self._waiting_rows:
            self._store()
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """Drop what is not stored yet."""
        self._spool.close()

    def _store(self) -> None:
        text = f"{self._head} FROM INFILE {sql.quote(self._spool.path)} {self._settings} FORMAT Native"
        try:
            self._session.run(text)
        except ServerError as error:
            self.failure = error
        self._spool.clear()
        self._waiting_rows = 0
