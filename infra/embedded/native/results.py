"""Results on their way to the client: blocks forwarded as they come, types put right, an empty result described."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from infra.embedded.native.columns import BlockShape, empty_block, walk_block
from infra.embedded.native.engine import Chunk, Session
from infra.embedded.native.faults import ServerError
from infra.embedded.native.wire import BytesReader, string

_BARE_DATETIME: Final = b"\x08DateTime"


def blocks_of(chunk: Chunk) -> Iterator[bytes]:
    """The single blocks of a result that was made as a whole; one that cannot be walked is given as it is."""
    reader = BytesReader(chunk.body)
    while reader.position < len(chunk.body):
        start = reader.position
        try:
            walk_block(reader)
        except (ServerError, EOFError):
            yield chunk.body[start:]
            return
        yield chunk.body[start : reader.position]


def header_of(session: Session, text: str) -> bytes | None:
    """A block without rows that has the names and types of a SELECT; None when the engine cannot tell."""
    try:
        return empty_block([(name, kind) for name, kind, _ in session.describe(f"(\n{text}\n)")])
    except ServerError:
        return None


class TypeRestorer:
    """Puts the time zone back into ``DateTime('TZ')`` columns.

    Native format at revision 0, which is what the engine gives, writes a top-level ``DateTime('TZ')`` as ``DateTime``,
    as for clients from before 2017. The true types come from describing the query, which a session with an open stream
    cannot do: so a second one is asked, and where that one does not see the same tables nothing is changed.
    """

    def __init__(self, describe: Iterable[tuple[str, str]] | None) -> None:
        self._types = [kind for _, kind in describe] if describe is not None else None

    @staticmethod
    def is_wanted(body: bytes) -> bool:
        """Whether a block may hold a bare ``DateTime``: never no when it does."""
        return _BARE_DATETIME in body

    def restore(self, body: bytes) -> bytes:
        """The block with true type names."""
        if self._types is None:
            return body
        try:
            shape = walk_block(BytesReader(body))
        except (ServerError, EOFError):
            return body
        return body if len(shape.columns) != len(self._types) else self._replaced(body, shape)

    def _replaced(self, body: bytes, shape: BlockShape) -> bytes:
        pieces, position = [], 0
        for column, true_type in zip(shape.columns, self._types or (), strict=True):
            if column.type_name == "DateTime" and true_type.startswith("DateTime("):
                pieces += [body[position : column.type_span[0]], string(true_type)]
                position = column.type_span[1]
        return b"".join([*pieces, body[position:]])
