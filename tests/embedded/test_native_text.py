"""What is told from a statement's text and from a type's name, without an engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.embedded.native import columns, sql, types, wire
from infra.embedded.native.faults import ServerError, from_engine
from infra.embedded.native.sql import Kind


@pytest.mark.parametrize(
    ("text", "kind", "run"),
    [
        ("SELECT 1", Kind.SELECT, "SELECT 1"),
        ("-- a\n/* b */ select 1;", Kind.SELECT, "-- a\n/* b */ select 1"),
        ("WITH 1 AS x SELECT x", Kind.SELECT, "WITH 1 AS x SELECT x"),
        ("(SELECT 1) UNION ALL (SELECT 2)", Kind.SELECT, "(SELECT 1) UNION ALL (SELECT 2)"),
        ("SELECT 'FORMAT JSON' FORMAT CSV", Kind.SELECT, "SELECT 'FORMAT JSON' "),
        ("SELECT 1 FORMAT CSV SETTINGS max_threads = 1", Kind.SELECT, "SELECT 1  SETTINGS max_threads = 1"),
        ("SELECT * FROM format(CSV, '1')", Kind.SELECT, "SELECT * FROM format(CSV, '1')"),
        ("SELECT ';'", Kind.SELECT, "SELECT ';'"),
        ("SHOW TABLES", Kind.OTHER, "SHOW TABLES"),
        ("SET a = 1", Kind.SESSION, "SET a = 1"),
        ("USE x", Kind.SESSION, "USE x"),
        ("INSERT INTO t VALUES", Kind.INSERT_DATA, "INSERT INTO t "),
        ("insert into `values` (a) values ;", Kind.INSERT_DATA, "insert into `values` (a) "),
        ("INSERT INTO t FORMAT Native", Kind.INSERT_DATA, "INSERT INTO t "),
        (
            "INSERT INTO t SETTINGS async_insert = 0 VALUES",
            Kind.INSERT_DATA,
            "INSERT INTO t SETTINGS async_insert = 0 ",
        ),
        ("INSERT INTO t VALUES (1)", Kind.OTHER, "INSERT INTO t VALUES (1)"),
        ("INSERT INTO t SELECT 1", Kind.OTHER, "INSERT INTO t SELECT 1"),
        ("INSERT INTO t (a) WITH 1 AS x SELECT x", Kind.OTHER, "INSERT INTO t (a) WITH 1 AS x SELECT x"),
    ],
)
def test_a_statement_is_understood(text: str, kind: Kind, run: str) -> None:
    assert sql.understand(text) == sql.Statement(kind, run)


@pytest.mark.parametrize("text", ["", "  ", "-- only a comment", ";", "SELECT 1; SELECT 2"])
def test_what_is_not_one_statement_is_refused(text: str) -> None:
    with pytest.raises(ServerError, match="Syntax error"):
        sql.understand(text)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("INSERT INTO t ", ("t", "")),
        ("INSERT INTO TABLE db.t (a, b)", ("db.t", "(a, b)")),
        ("INSERT INTO `a b`.`c(d` (`e)`)", ("`a b`.`c(d`", "(`e)`)")),
        ("INSERT INTO t (* EXCEPT(a)) SETTINGS x = 1", ("t", "(* EXCEPT(a))")),
        ("INSERT INTO FUNCTION remote('h', (SELECT 1), t) (a)", ("FUNCTION remote('h', (SELECT 1), t)", "(a)")),
        ("INSERT INTO table.x", ("table.x", "")),
    ],
)
def test_where_an_insert_goes(text: str, target: tuple[str, str]) -> None:
    assert sql.insert_target(text) == target


@given(st.text())
def test_tokens_cover_any_text_and_never_overlap(text: str) -> None:
    end = 0
    for token in sql.tokens(text):
        assert token.start >= end
        assert text[token.start : token.end] == token.text
        end = token.end


@given(st.integers(0, 2**64 - 1))
def test_numbers_of_variable_length_come_back(value: int) -> None:
    assert wire.BytesReader(wire.varuint(value)).varuint() == value


@given(st.lists(st.binary(max_size=300)))
def test_strings_are_walked_over_exactly(values: list[bytes]) -> None:
    content = b"".join(wire.string(value) for value in values)
    reader = wire.BytesReader(content + b"rest")
    reader.skip_strings(len(values))
    assert reader.position == len(content)


class Dripping(wire.Reader):
    """Gives one byte at a time, as a slow network may."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._content = content

    def fill(self) -> None:
        if not self._content:
            raise EOFError
        self.buffer += self._content[:1]
        self._content = self._content[1:]


@given(st.lists(st.tuples(st.binary(max_size=200), st.integers(0, 255)), min_size=1, max_size=20))
def test_a_block_ends_where_it_ends_however_it_arrives(rows: list[tuple[bytes, int]]) -> None:
    strings = b"".join(wire.string(text) for text, _ in rows)
    numbers = bytes(number for _, number in rows)
    head = wire.varuint(2) + wire.varuint(len(rows))
    block = (
        head + wire.string("a") + wire.string("String") + strings + wire.string("b") + wire.string("UInt8") + numbers
    )
    for reader in (wire.BytesReader(block + b"more"), Dripping(block + b"more")):
        shape = columns.walk_block(reader)
        assert (shape.rows, reader.position) == (len(rows), len(block))
        assert [column.name for column in shape.columns] == [b"a", b"b"]


def test_type_names_become_trees() -> None:
    tree = types.parse("Map(LowCardinality(String), Array(Tuple(a Nullable(Decimal(18, 4)), `b c` Enum8('x)' = -1))))")
    assert [argument.name for argument in tree.arguments] == ["LowCardinality", "Array"]
    inner = tree.arguments[1].arguments[0]
    assert [argument.name for argument in inner.arguments] == ["Nullable", "Enum8"]
    assert inner.arguments[0].arguments[0].number(1) == 4


def test_values_of_an_unknown_type_end_the_connection_with_a_clear_word() -> None:
    block = b"\x01\x01" + wire.string("a") + wire.string("AggregateFunction(sum, UInt8)") + b"\x00"
    with pytest.raises(ServerError, match="cannot take values of type AggregateFunction") as caught:
        columns.walk_block(wire.BytesReader(block))
    assert caught.value.fatal


def test_the_engines_words_become_code_and_message() -> None:
    error = from_engine(
        RuntimeError("Streaming query failed: Code: 47. DB::Exception: Unknown x. (UNKNOWN_IDENTIFIER)")
    )
    assert (error.code, error.message) == (47, "DB::Exception: Unknown x. (UNKNOWN_IDENTIFIER)")
    assert from_engine(ValueError("boom")).code == 1002
