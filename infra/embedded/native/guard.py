"""What the `analyst` may not do.

``readonly = 1`` of the engine refuses writes and most table functions. It does not refuse the scalar function
``file()``, describing a file, writing a result into one, killing queries, or ``Python()``, which looks into this
very process. So each statement is also judged by the engine's own parser, never by ours: its class, then every
function and every table named in its syntax tree. The engine has no grants on tables; these stand for them.
"""

from __future__ import annotations

import re
from typing import Final

from infra.embedded.native.constants import Code
from infra.embedded.native.engine import Session
from infra.embedded.native.faults import refuse
from infra.embedded.native.sql import Kind, Statement

_HARMLESS: Final = frozenset(
    {
        *("generate_series", "generateseries", "null", "numbers", "numbers_mt", "primes", "values", "view"),
        *("zeros", "zeros_mt", "format"),
    }
)
# Names, who unmasked them, and lines of logs as they were; in any database of this server. Views on them are fine.
_RESTRICTED: Final = frozenset(("sealed_names", "unmask_log", "holds", "dead_letters"))
# Of the engine's own tables what says how things are named; others show what others ask, and values in errors.
_SYSTEM: Final = frozenset(
    {
        *("columns", "data_type_families", "databases", "formats", "functions", "keywords", "numbers", "numbers_mt"),
        *("one", "parts", "settings", "table_engines", "table_functions", "tables", "time_zones", "zeros", "zeros_mt"),
        *("build_options", "aggregate_function_combinators", "collations", "contributors", "licenses", "macros"),
    }
)
_OUTSIDE: Final = frozenset(("file", "python", "fuzzquery", "catboostevaluate"))
_AI: Final = re.compile(r"ai[A-Z]|AI[A-Z]")
_FUNCTION: Final = re.compile(r"^\s*Function (\S+)")
# The right side of IN is a plain identifier, though it may name a table.
_TABLE: Final = re.compile(r"^\s*(?:Table)?Identifier (\S+)")
_PROCESSES: Final = "ShowProcesslist"


class AnalystGuard:
    """Judges statements of read-only users. Made once, with the engine's list of functions."""

    def __init__(self, session: Session) -> None:
        tables = {str(row[0]).lower() for row in session.rows("SELECT name FROM system.table_functions")}
        scalars = {str(row[0]) for row in session.rows("SELECT name FROM system.functions")}
        networked = {name.lower() for name in scalars if _AI.match(name)}
        self._refused = (tables - _HARMLESS) | networked | _OUTSIDE

    def judge(self, session: Session, statement: Statement) -> None:
        """Raise `ServerError` 164 or 497 when the statement is not for an analyst. Runs nothing of it."""
        verdict, count = session.classify(statement.text)
        if count > 1:
            raise refuse(Code.SYNTAX_ERROR, "Syntax error: Multi-statements are not allowed")
        if verdict in ("READ_ONLY", "UNKNOWN") and statement.kind is not Kind.INSERT_DATA:
            # For what is unknown because it cannot be parsed, this raises the engine's words about it.
            self._judge_names(session, statement.text)
        if verdict != "READ_ONLY" and not (verdict == "CONTROL" and self._is_for_session(session, statement)):
            raise refuse(Code.READONLY, "analyst: Cannot execute query in readonly mode.")

    def _is_for_session(self, session: Session, statement: Statement) -> bool:
        """SET and USE are left to the engine: it knows what an analyst may not set, which is everything."""
        if statement.kind is not Kind.SESSION:
            return False
        tree = session.rows(f"EXPLAIN AST {statement.text}")
        return bool(tree) and str(tree[0][0]).split()[0] in ("Set", "UseQuery")

    def _judge_names(self, session: Session, text: str) -> None:
        # Names without a database would be the engine's own there.
        if session.rows("SELECT currentDatabase()")[0][0] == "system":
            raise refuse(Code.ACCESS_DENIED, "analyst: Not enough privileges: USE another database than system")
        # What cannot be parsed fails here with the engine's words.
        tree = [str(row[0]) for row in session.rows(f"EXPLAIN AST {text}")]
        # The conditions of SHOW are kept as text and are not in the tree.
        if tree and tree[0].startswith("Show") and ("(" in text or any(name in text for name in _RESTRICTED)):
            raise refuse(Code.ACCESS_DENIED, "analyst: Not enough privileges: SHOW with an expression")
        for line in tree:
            found = _FUNCTION.match(line)
            if found is not None and found[1].strip('`"').lower() in self._refused:
                raise refuse(Code.ACCESS_DENIED, f"analyst: Not enough privileges: function {found[1]}")
            _judge_table(line)


def _judge_table(line: str) -> None:
    """A line of a syntax tree may name no table that is not for analysts; nor may a column be called so."""
    found = _TABLE.match(line)
    if line.startswith(_PROCESSES):
        raise refuse(Code.ACCESS_DENIED, "analyst: Not enough privileges: the queries of others")
    if found is None:
        return
    parts = found[1].replace("`", "").replace('"', "").split(".")
    if not _RESTRICTED.isdisjoint(parts) or (len(parts) > 1 and parts[0] == "system" and parts[1] not in _SYSTEM):
        raise refuse(Code.ACCESS_DENIED, f"analyst: Not enough privileges: table {found[1]}")
