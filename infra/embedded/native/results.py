"""Results on their way to the client: blocks forwarded as they come, types put right, an empty result described."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from infra.embedded.native.columns import BlockShape, empty_block, walk_block
from infra.embedded.native.engine import Chunk, Session
from infra.embedded.native.faults import ServerError
from infra.embedded.native.wire import BytesReader, string


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
    """Says what a streamed result looks like, and puts the time zone back into its ``DateTime('TZ')`` columns.

    A server sends names and types as a block without rows first, and clickhouse-driver takes them from there; the
    engine does not, so they are read from the first block. Native format at revision 0, which is what the engine
    gives, writes a top-level ``DateTime('TZ')`` as ``DateTime``, as for clients from before 2017. The true types come
    from describing the query, which a session with an open stream cannot do: ``describe`` asks a second one, and gives
    None where that one does not see the same tables. Then nothing is changed.
    """

    def __init__(self, first: bytes, describe: Callable[[], list[tuple[str, str]] | None]) -> None:
        shape = _shape(first)
        found = [] if shape is None else [(_text(column.name), column.type_name) for column in shape.columns]
        self._needed = any(kind == "DateTime" for _, kind in found)
        if shape is None or self._needed:
            found = describe() or found
        self._types = [kind for _, kind in found]
        self.header = empty_block(found) if found else None

    def restore(self, body: bytes) -> bytes:
        """The block with true type names."""
        shape = _shape(body) if self._needed else None
        if shape is None or len(shape.columns) != len(self._types):
            return body
        pieces, position = [], 0
        for column, true_type in zip(shape.columns, self._types, strict=True):
            if column.type_name == "DateTime" and true_type.startswith("DateTime("):
                pieces += [body[position : column.type_span[0]], string(true_type)]
                position = column.type_span[1]
        return b"".join([*pieces, body[position:]])


def _shape(body: bytes) -> BlockShape | None:
    """None for a type whose layout is not known here; such blocks are forwarded all the same."""
    try:
        return walk_block(BytesReader(body))
    except (ServerError, EOFError):
        return None


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")
