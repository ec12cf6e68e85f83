"""Does the ClickHouse engine still behave as the native server assumes?

Run at every start, in a session of its own with temporary tables only: about 20 ms. The assumptions were found by
trying, with chdb-core 26.9; another version may differ, and then it is better not to start than to answer wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from infra.embedded.errors import SelfTestError
from infra.embedded.native.columns import walk_block
from infra.embedded.native.constants import Code
from infra.embedded.native.engine import Session
from infra.embedded.native.faults import ServerError
from infra.embedded.native.insertion import RowSink
from infra.embedded.native.wire import BytesReader

_VIOLATED_CONSTRAINT = 469


def verify(data: Path) -> None:
    """Check every assumption. Raises `SelfTestError` naming all that do not hold."""
    session = Session(data)
    try:
        session.set("implicit_select", "0")
        failed = [name for name, check in _CHECKS.items() if not _holds(check, session)]
    finally:
        session.close()
    if failed:
        version = Session(data).rows("SELECT version()")[0][0]
        raise SelfTestError(
            f"the engine does not behave as expected: {'; '.join(failed)}",
            where=f"ClickHouse {version} of chdb",
            todo="Install the chdb version that this release pins.",
        )


def _holds(check: Callable[[Session], bool], session: Session) -> bool:
    try:
        return check(session)
    except Exception:  # noqa: BLE001 - any trouble means that it does not hold
        return False


def _chunk_is_one_block(session: Session) -> bool:
    rows = 0
    for chunk in session.stream("SELECT number, toString(number) FROM numbers(200000)"):
        reader = BytesReader(chunk.body)
        shape = walk_block(reader)
        rows += shape.rows
        if shape.rows != chunk.rows or reader.position != len(chunk.body):
            return False
    return rows == 200_000


def _empty_result_is_nothing(session: Session) -> bool:
    return not list(session.stream("SELECT 1 AS a WHERE 0")) and session.describe("(SELECT 1 AS a)")[0][:2] == (
        "a",
        "UInt8",
    )


def _types_are_exact(session: Session) -> bool:
    query = "SELECT toDateTime64(0, 6, 'UTC'), toLowCardinality('x'), [toDateTime(0, 'UTC')], toDateTime(0, 'UTC')"
    shape = walk_block(BytesReader(session.run(query).body))
    expected = ["DateTime64(6, 'UTC')", "LowCardinality(String)", "Array(DateTime('UTC'))", "DateTime"]
    return [column.type_name for column in shape.columns] == expected


def _insert_takes_blocks(session: Session) -> bool:
    session.run("CREATE TEMPORARY TABLE selftest_insert (a UInt64, b String DEFAULT 'd')")
    block = session.run("SELECT number AS a FROM numbers(3)").body
    _insert(session, "INSERT INTO selftest_insert (a)", block + block)
    return session.rows("SELECT count(), sum(a), min(b) FROM selftest_insert") == [[6, 6, "d"]]


def _failed_insert_is_reported(session: Session) -> bool:
    session.run("CREATE TEMPORARY TABLE selftest_failure (a UInt64, CONSTRAINT small CHECK a < 2)")
    try:
        _insert(session, "INSERT INTO selftest_failure", session.run("SELECT number AS a FROM numbers(3)").body)
    except ServerError as error:
        return error.code == _VIOLATED_CONSTRAINT and session.rows("SELECT 1") == [[1]]
    return False


def _insert(session: Session, text: str, body: bytes) -> None:
    with closing(RowSink(session, text)) as sink:
        sink.take(body, 1)
        sink.finish()


def _errors_have_codes(session: Session) -> bool:
    for query, code in (("SELEC", Code.SYNTAX_ERROR), ("USE selftest_no_database", Code.UNKNOWN_DATABASE)):
        try:
            session.run(query)
        except ServerError as error:
            if error.code != code:
                return False
        else:
            return False
    return True


def _stream_can_be_left(session: Session) -> bool:
    chunks = session.stream("SELECT number FROM numbers(100000000)")
    next(chunks)
    chunks.close()
    return session.rows("SELECT 1") == [[1]]


def _statements_are_classified(session: Session) -> bool:
    expected = {
        "SELECT 1": ("READ_ONLY", 1),
        "KILL QUERY WHERE 1": ("CONTROL", 1),
        "SELECT 1; SELECT 2": ("READ_ONLY", 2),
    }
    return all(session.classify(text) == found for text, found in expected.items())


def _tree_shows_functions(session: Session) -> bool:
    tree = session.rows("EXPLAIN AST SELECT `file`('x')")
    return any(str(row[0]).strip().startswith("Function file") for row in tree)


def _readonly_is_final(session: Session) -> bool:
    """Last of all: it cannot be taken back in this session."""
    session.set("readonly", "1")
    for query in (
        "SET readonly = 0",
        "SELECT * FROM file('/dev/null', 'LineAsString')",
        "CREATE TABLE selftest_never (a UInt8) ENGINE = Memory",
    ):
        try:
            session.run(query)
        except ServerError as error:
            if error.code != Code.READONLY:
                return False
        else:
            return False
    return True


_CHECKS: dict[str, Callable[[Session], bool]] = {
    "a streamed chunk is one Native block": _chunk_is_one_block,
    "an empty result has no block, and DESCRIBE tells its columns": _empty_result_is_nothing,
    "type names in Native blocks are exact": _types_are_exact,
    "an INSERT takes several Native blocks": _insert_takes_blocks,
    "an INSERT that fails says so": _failed_insert_is_reported,
    "errors carry ClickHouse's codes": _errors_have_codes,
    "a stream can be left early": _stream_can_be_left,
    "statements are classified": _statements_are_classified,
    "EXPLAIN AST names functions": _tree_shows_functions,
    "readonly cannot be taken back": _readonly_is_final,
}
