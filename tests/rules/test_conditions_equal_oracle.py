"""Compiled conditions say of every row what the slow evaluator says."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from agents.rules.columns import identity_columns
from agents.rules.compiled import Compiled
from agents.rules.examples import frame_of
from agents.rules.loader import parse_rules
from schemas.kinds import EventKind
from tests.rules.oracle import ANY_MANY, ANY_ONE, Item

TEXTS = {
    "c-uri": "url_original",
    "url_original": "url_original",
    "User": "user_name",
    "cs-method": "http_request_method",
}
NUMBERS = {"sc-status": "http_response_status_code", "sc-bytes": "http_response_bytes"}
LETTERS = "aAbBé*?\\.( "
TEXT = st.text(st.sampled_from(LETTERS), max_size=5)
MAYBE_TEXT = st.none() | TEXT
ADDRESSES = st.sampled_from(
    ["10.1.2.3", "10.2.0.1", "192.0.2.9", "2001:db8::1", "2001:db8:1::1", "::ffff:10.1.2.3", "x"]
)
NETWORKS = st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "192.0.2.9/32", "2001:db8::/48", "10.1.2.2/31"])
REGEXES = st.sampled_from(["a+b", "^A", "(?i)B$", "[0-9]{2}", "a|B", "^$", "é", r"\."])
PATTERNS = st.lists(st.sampled_from(LETTERS) | st.sampled_from([ANY_MANY, ANY_ONE]), max_size=4).map(tuple)

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "url_original": MAYBE_TEXT,
            "user_name": MAYBE_TEXT,
            "http_request_method": MAYBE_TEXT,
            "source_ip": st.none() | ADDRESSES,
            "http_response_status_code": st.none() | st.integers(0, 30),
            "http_response_bytes": st.none() | st.integers(0, 30),
        }
    ),
    min_size=1,
    max_size=12,
)


@st.composite
def items(draw: st.DrawFn) -> Item:
    """One field with a modifier and values."""
    sort = draw(st.sampled_from(["text", "text", "text", "number", "ip", "ref", "presence"]))
    some: Any = lambda values: tuple(draw(st.lists(values, min_size=1, max_size=3)))  # noqa: E731
    if sort == "text":
        field = draw(st.sampled_from(sorted(TEXTS)))
        modifier = draw(st.sampled_from(["equals", "contains", "startswith", "endswith", "re"]))
        every, cased = draw(st.booleans()), modifier != "re" and draw(st.booleans())
        values = some(REGEXES if modifier == "re" else PATTERNS)
        return Item(field, TEXTS[field], modifier, values, every, cased)
    if sort == "number":
        field = draw(st.sampled_from(sorted(NUMBERS)))
        modifier = draw(st.sampled_from(["equals", "lt", "lte", "gt", "gte"]))
        return Item(field, NUMBERS[field], modifier, some(st.integers(0, 30)))
    if sort == "ip":
        return Item("c-ip", "source_ip", "cidr", some(NETWORKS))
    if sort == "ref":
        return Item("c-uri", "url_original", "fieldref", ("user_name",))
    field, column = draw(st.sampled_from([*TEXTS.items(), *NUMBERS.items()]))
    if draw(st.booleans()):
        return Item(field, column, "null", (None,))
    return Item(field, column, "exists", (draw(st.booleans()),))


# A condition: text as in the rule, and what it means given what each selection says.
Condition = tuple[str, Any]
SELECTIONS = ["sel_a", "sel_b", "other"]


def conditions() -> st.SearchStrategy[Condition]:
    """Boolean expressions over the selections."""
    leaves: list[Condition] = [(name, (lambda s, n=name: s[n])) for name in SELECTIONS]
    leaves += [
        ("1 of sel_*", lambda s: s["sel_a"] or s["sel_b"]),
        ("all of sel_*", lambda s: s["sel_a"] and s["sel_b"]),
        ("1 of them", lambda s: any(s.values())),
        ("all of them", lambda s: all(s.values())),
    ]
    return st.recursive(
        st.sampled_from(leaves),
        lambda inner: st.one_of(
            inner.map(lambda c: (f"not ({c[0]})", lambda s: not c[1](s))),
            st.tuples(inner, inner).map(lambda p: (f"({p[0][0]} and {p[1][0]})", lambda s: p[0][1](s) and p[1][1](s))),
            st.tuples(inner, inner).map(lambda p: (f"({p[0][0]} or {p[1][0]})", lambda s: p[0][1](s) or p[1][1](s))),
        ),
        max_leaves=5,
    )


@st.composite
def rules(draw: st.DrawFn) -> tuple[dict[str, list[list[Item]]], Condition]:
    """Selections (a list of mappings: OR of ANDs) and a condition."""
    mapping = st.lists(items(), min_size=1, max_size=2, unique_by=lambda i: i.key())
    selections = {name: draw(st.lists(mapping, min_size=1, max_size=2)) for name in SELECTIONS}
    return selections, draw(conditions())


def rule_text(selections: dict[str, list[list[Item]]], condition: str) -> str:
    """The rule as JSON, which is YAML: no quoting of our own that could go wrong."""
    written = {n: [{i.key(): i.written() for i in mapping} for mapping in m] for n, m in selections.items()}
    rule = {"title": "t", "name": "drawn", "logsource": {"category": "proxy"}, "level": "low"}
    return json.dumps(rule | {"detection": written | {"condition": condition}})


def _compiled(text: str) -> Compiled:
    expression = parse_rules(text).detection("drawn").expression
    assert isinstance(expression, Compiled)
    return expression


@given(rules(), ROWS)
def test_a_compiled_condition_equals_the_slow_evaluator(
    rule: tuple[dict[str, list[list[Item]]], Condition], rows: list[dict[str, Any]]
) -> None:
    selections, (text, meaning) = rule
    compiled = _compiled(rule_text(selections, text))
    expected = [
        bool(meaning({n: any(all(i.holds(row) for i in m) for m in maps) for n, maps in selections.items()}))
        for row in rows
    ]
    got = frame_of(EventKind.PROXY, rows).with_columns(hit=compiled.exact)["hit"]
    assert got.null_count() == 0
    assert got.to_list() == expected


DEVICE = st.none() | st.sampled_from(["laptop", "shared"])


@given(conditions(), st.lists(st.tuples(MAYBE_TEXT, DEVICE), min_size=1, max_size=8))
def test_what_may_match_once_the_device_is_known_includes_all_that_then_matches(
    condition: Condition, rows: list[tuple[str | None, str | None]]
) -> None:
    selections = {
        "sel_a": [[Item("User", "user_name", "contains", (("a",),))]],
        "sel_b": [[Item("source_device_kind", "source_device_kind", "equals", (tuple("shared"),))]],
        "other": [[Item("source_device_kind", "source_device_kind", "exists", (True,))]],
    }
    compiled = _compiled(rule_text(selections, condition[0]))
    before = frame_of(EventKind.PROXY, [{"user_name": name} for name, _ in rows])
    unknown = before.with_columns(source_device_kind=pl.lit(None, pl.String))
    known = before.with_columns(pl.Series("source_device_kind", [kind for _, kind in rows], dtype=pl.String))
    possible = unknown.with_columns(hit=compiled.possible)["hit"].to_list()
    exact = known.with_columns(hit=compiled.exact)["hit"].to_list()
    assert all(may or not does for may, does in zip(possible, exact, strict=True))
    assert compiled.waits == bool(compiled.columns & identity_columns(EventKind.PROXY))
