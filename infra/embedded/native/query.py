"""One query from its packet to the end of its answer."""

from __future__ import annotations

from contextlib import closing, suppress

from infra.embedded.native import compression, constants, extras, messages, packets, sql
from infra.embedded.native.constants import ClientPacket, Code
from infra.embedded.native.engine import Chunk, Session
from infra.embedded.native.faults import ServerError, refuse
from infra.embedded.native.insertion import RowSink, sample_block
from infra.embedded.native.results import TypeRestorer, blocks_of, header_of
from infra.embedded.native.settings import QuerySettings
from infra.embedded.native.shared import Shared, User
from infra.embedded.native.sql import Kind, Statement, quote, quote_name
from infra.embedded.native.transport import ClientBlock, Transport
from infra.embedded.native.watcher import Running


class QueryRunner:
    """Runs the queries of one connection, one after the other."""

    def __init__(
        self,
        shared: Shared,
        transport: Transport,
        session: Session,
        settings: QuerySettings,
        user: User,
        mark: str,
        database: str,
    ) -> None:
        self._shared = shared
        self._transport = transport
        self._session = session
        self._settings = settings
        self._user = user
        self._mark = mark
        self._database = database
        self._sent = [0, 0, 0]
        self.compressed = False

    def serve(self) -> None:
        """Read a query after its packet number, run it, answer it.

        Raises `OSError` and `EOFError` when the client is gone and `ServerError` when it must be sent away; all other
        errors are told to the client, and the connection goes on.
        """
        query = messages.read_query(self._transport.reader, self._transport.revision, self._shared.settings.get)
        self.compressed = query.compressed
        if query.compressed:
            compression.require()
        self._transport.reader.forget()
        external: list[str] = []
        self._sent = [0, 0, 0]
        try:
            failure = self._read_external(external)
            if failure is not None:
                raise failure
            with self._shared.query_ids.running(query.query_id):
                self._run(query)
            self._transport.send(packets.end_of_stream())
        except ServerError as error:
            if error.fatal:
                raise
            self._transport.send(packets.exception(error))
        finally:
            for name in external:
                self._session.run(f"DROP TEMPORARY TABLE IF EXISTS {quote_name(name)}")

    def existing(self, tables: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Those of the tables that exist."""
        listed = ", ".join(f"({quote(database)}, {quote(name)})" for database, name in tables)
        if not listed:
            return []
        rows = self._session.rows(f"SELECT database, name FROM system.tables WHERE (database, name) IN ({listed})")  # noqa: S608 - quoted, or the own text of who asks
        return [(str(database), str(name)) for database, name in rows]

    def _run(self, query: messages.Query) -> None:
        if query.stage != constants.COMPLETE_STAGE:
            message = "Only whole queries are served: a distributed query over this server needs it as its single shard"
            raise refuse(Code.NOT_IMPLEMENTED, message)
        read_only = self._is_read_only(query)
        self._settings.apply(query.settings)
        statement = sql.understand(query.text)
        if read_only:
            self._shared.guard.judge(self._session, statement)
        if statement.kind is Kind.SESSION:
            self._settings.restore()
        if statement.kind is Kind.INSERT_DATA:
            self._insert(statement)
        else:
            self._answer(statement)
        if statement.kind is Kind.SESSION:
            self._database = str(self._session.rows("SELECT currentDatabase()")[0][0])
            # The client may have set this one itself; without ours a query could not be cancelled. A session that has
            # just been made read-only keeps what it has.
            with suppress(ServerError):
                self._session.set("log_comment", self._mark)

    def _is_read_only(self, query: messages.Query) -> bool:
        """By who asks, or by the query's own wish: in the engine that wish could never be taken back."""
        wish = query.settings.get("readonly")
        if self._user.read_only and wish is not None and wish.value == "0":
            raise refuse(Code.READONLY, "Cannot modify 'readonly' setting in readonly mode.")
        return self._user.read_only or (wish is not None and wish.value not in ("0", ""))

    def _running(self) -> Running:
        quiet = packets.progress(self._transport.revision)
        return Running(self._transport.socket, self._mark, quiet, self._transport.lock)

    def _answer(self, statement: Statement) -> None:
        if self._transport.take_early_cancel():
            return
        with self._shared.watcher.during(self._running()) as running:
            try:
                if statement.kind is Kind.SELECT:
                    self._stream(statement.text, running)
                    self._send_extras(statement.text, running)
                else:
                    self._whole(statement.text)
            except ServerError:
                if not running.cancelled:
                    raise
        if self._sent[1] == 0 and statement.kind is Kind.SELECT and not running.cancelled:
            header = header_of(self._session, statement.text)
            if header is not None:
                self._send_block(header, 0)
        rows, blocks, size = self._sent
        self._transport.send(
            packets.profile_info(rows=rows, blocks=blocks, size=size),
            packets.progress(self._transport.revision, rows=rows, size=size),
        )

    def _stream(self, text: str, running: Running) -> None:
        restorer: TypeRestorer | None = None
        with closing(self._session.stream(text)) as chunks:
            for chunk in chunks:
                if running.cancelled:
                    return
                if restorer is None:
                    restorer = TypeRestorer(chunk.body, lambda: self._described_elsewhere(text))
                    if restorer.header is not None:
                        self._send_block(restorer.header, 0)
                self._send_block(restorer.restore(chunk.body), chunk.rows)

    def _send_extras(self, text: str, running: Running) -> None:
        if running.cancelled or not extras.are_wanted(text, self._settings.are_extremes_on):
            return
        for packet, body in extras.blocks(self._session, text, self._shared.data):
            content = packets.block(body, self._transport.revision, compressed=self.compressed, packet=packet)
            self._transport.send(content)

    def _whole(self, text: str) -> None:
        chunk: Chunk = self._session.run(text)
        for index, body in enumerate(blocks_of(chunk)):
            if index == 0:
                header = TypeRestorer(body, lambda: None).header
                if header is not None:
                    self._send_block(header, 0)
            self._send_block(body, chunk.rows)

    def _described_elsewhere(self, text: str) -> list[tuple[str, str]] | None:
        """Names and types of a SELECT whose stream is open, from a session made for this."""
        other = Session(self._shared.data)
        try:
            other.run(f"USE {quote_name(self._database)}")
            return [(name, kind) for name, kind, _ in other.describe(f"(\n{text}\n)")]
        except ServerError:
            return None
        finally:
            other.close()

    def _send_block(self, body: bytes, rows: int) -> None:
        self._sent = [self._sent[0] + rows, self._sent[1] + 1, self._sent[2] + len(body)]
        self._transport.send(packets.block(body, self._transport.revision, compressed=self.compressed))

    def _insert(self, statement: Statement) -> None:
        self._transport.send(
            packets.block(
                sample_block(self._session, statement.text), self._transport.revision, compressed=self.compressed
            )
        )
        with closing(RowSink(self._session, statement.text)) as sink:
            if not self._take_rows(sink):
                raise refuse(Code.QUERY_WAS_CANCELLED, "Query was cancelled.")
            with self._shared.watcher.during(self._running()):
                sink.finish()
        revision = self._transport.revision
        if revision >= constants.SINCE_WRITE_INFO:
            # Older clients do not expect it here.
            self._transport.send(packets.progress(revision, written_rows=sink.rows, written_size=sink.size))

    def _take_rows(self, sink: RowSink) -> bool:
        """All of the client's blocks, also after a failure: it reads the answer when it is done. False if cancelled."""
        while True:
            packet = self._transport.reader.varuint()
            if packet == ClientPacket.CANCEL:
                return False
            if packet != ClientPacket.DATA:
                raise refuse(
                    Code.UNEXPECTED_PACKET_FROM_CLIENT, f"Unexpected packet {packet} among an insert's data", fatal=True
                )
            block = self._transport.read_block(compressed=self.compressed)
            if block.is_end:
                return True
            if block.shape.rows:
                sink.take(block.body, block.shape.rows)

    def _read_external(self, made: list[str]) -> ServerError | None:
        """The blocks between a query and its run: external tables, ended by an empty block. An error is for later."""
        failure: ServerError | None = None
        while True:
            packet = self._transport.reader.varuint()
            if packet == ClientPacket.CANCEL:
                continue
            if packet == ClientPacket.SCALAR:
                # Values of a distributed query's subqueries; whole queries, the only ones served, do not refer to them.
                self._transport.read_block(compressed=self.compressed)
                continue
            if packet != ClientPacket.DATA:
                raise refuse(
                    Code.UNEXPECTED_PACKET_FROM_CLIENT, f"Unexpected packet {packet} after a query", fatal=True
                )
            block = self._transport.read_block(compressed=self.compressed)
            if block.is_end:
                return failure
            try:
                self._store_external(block, made)
            except ServerError as error:
                failure = failure or error

    def _store_external(self, block: ClientBlock, made: list[str]) -> None:
        if self._user.read_only:
            raise refuse(Code.READONLY, "analyst: Cannot send external tables in readonly mode.")
        name = quote_name(block.name)
        if block.name not in made:
            columns = ", ".join(
                f"{quote_name(column.name.decode(errors='replace'))} {column.type_name}"
                for column in block.shape.columns
            )
            self._session.run(f"CREATE TEMPORARY TABLE {name} ({columns})")
            made.append(block.name)
        if block.shape.rows:
            with closing(RowSink(self._session, f"INSERT INTO {name}")) as sink:
                sink.take(block.body, block.shape.rows)
                sink.finish()
