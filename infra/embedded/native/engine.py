"""chdb behind typed functions: one connection has one session (database, settings, temporary tables) of its own.

Only one thing may run on a connection at a time; a second query on a connection with an open stream would silently
return nothing. The session's thread is the only one to use it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.embedded.native.faults import from_engine
from infra.embedded.native.sql import quote


@dataclass(frozen=True)
class Chunk:
    """Native blocks with the number of their rows."""

    body: bytes
    rows: int


class Session:
    """One chdb connection. Every method raises `ServerError` with the engine's code and words."""

    def __init__(self, path: Path) -> None:
        # Importing chdb starts the engine and takes a second: not before a server is wanted.
        import chdb.state  # noqa: PLC0415

        try:
            self._connection = chdb.state.connect(str(path))
        except Exception as error:
            raise from_engine(error) from error

    def run(self, text: str) -> Chunk:
        """Run a statement as a whole; its result in Native format, empty where there is none."""
        try:
            result = self._connection.query(text, "Native")
            return Chunk(bytes(result.bytes() or b""), int(result.rows_read()))
        except Exception as error:
            raise from_engine(error) from error

    def text(self, text: str, output_format: str) -> str:
        """A result in a format of text."""
        try:
            return bytes(self._connection.query(text, output_format).bytes() or b"").decode(errors="replace")
        except Exception as error:
            raise from_engine(error) from error

    def rows(self, text: str) -> list[list[Any]]:
        """A small result as rows of JSON values."""
        # Only line feeds end a row: other separators of Unicode may stand inside strings.
        return [json.loads(line) for line in self.text(text, "JSONCompactEachRow").split("\n") if line]

    def stream(self, text: str) -> Generator[Chunk, None, None]:
        """Run a SELECT; its blocks one by one. Close the iterator to stop early."""
        result = None
        try:
            result = self._connection.send_query(text, "Native")
            for chunk in result:
                yield Chunk(bytes(chunk.bytes()), int(chunk.rows_read()))
        except Exception as error:
            raise from_engine(error) from error
        finally:
            if result is not None:
                # Does nothing at the regular end; after an early one the connection must not stay in the stream.
                with contextlib.suppress(Exception):
                    result.close()  # type: ignore[no-untyped-call] # chdb's own annotations are partial

    def describe(self, what: str) -> list[tuple[str, str, str]]:
        """Name, type and kind of default of the columns of a table, a function or a SELECT in parentheses."""
        return [(str(row[0]), str(row[1]), str(row[2])) for row in self.rows(f"DESCRIBE TABLE {what}")]

    def classify(self, text: str) -> tuple[str, int]:
        """The engine's own judgement of a statement, without running it: its class and how many statements it is."""
        found = self._connection._conn.classify_query(text)  # noqa: SLF001 - has no public name; the self-test covers it
        return str(found["query_class"].name), int(found["statement_count"])

    def set(self, name: str, value: str) -> None:
        """Change a setting of this session."""
        self.run(f"SET {name} = {quote(value)}")

    def close(self) -> None:
        """End the session. Never raises."""
        with contextlib.suppress(Exception):
            self._connection.close()
