"""Rules that would take for ever are refused with their place, or take no longer than others."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.engine.scan import Scanner
from agents.rules.columns import keyword_columns
from agents.rules.compiled import Compiled
from agents.rules.detections import MAX_EXPRESSIONS, MAX_KEYWORDS, MAX_SELECTIONS
from agents.rules.examples import frame_of
from agents.rules.loader import parse_rules
from agents.rules.repeats import repeated
from agents.rules.shape import MAX_NESTING
from agents.rules.taxonomy import MAX_VALUES
from schemas.errors import Errors
from schemas.kinds import EventKind


def _text(selection: Any, condition: str = "s") -> str:
    rule = {"title": "t", "name": "n", "logsource": {"category": "proxy"}, "level": "low"}
    return json.dumps(rule | {"detection": {"s": selection, "condition": condition}}, indent=1)


def _errors(text: str) -> list[str]:
    with pytest.raises(Errors) as raised:
        parse_rules(text, "r.yml")
    return [str(error) for error in raised.value.errors]


def _compiled(text: str) -> Compiled:
    expression = parse_rules(text).detection("n").expression
    assert isinstance(expression, Compiled)
    return expression


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.lists(inner, min_size=1, max_size=3).map("".join)
    return st.builds("({}){{{}}}".format, joined, st.integers(1, 4)) | joined


@pytest.mark.parametrize(
    "pattern",
    ["(a{1000}){1000}", "((a{100}){100}){100}", "x{9999}", r"(a)\1", "(?=a)b", "(" * 1_000 + "a" + ")" * 1_000, "["],
)
def test_an_expression_that_cannot_be_run_in_bounded_space_is_refused_where_it_stands(pattern: str) -> None:
    assert any(error.startswith("r.yml:10:16: ") for error in _errors(_text({"c-uri|re": pattern})))


@pytest.mark.parametrize(
    ("pattern", "grown"),
    [
        ("abc*d+(e|f)?", 0), ("a{3}", 2), ("(ab){3}", 4), ("((ab){3}c){2}", 11), ("a{2,5}", 4), ("a{7,}", 6),
        ("a{,4}", 3), ("a{0}", 0), ("[]a-z]{3}", 2), ("[^]{9}]{3}", 2), ("[a[b]{9}]{3}", 2), (r"\{9}", 0),
        (r"[\]]{3}", 2), (r"\x{41}{3}", 2), (r"\w{3}", 10), (r"\p{L}{3}", 10), ("(?:a{3}){3}", 8),
        ("(?P<n>a){3}", 2), ("(?<n>a){3}", 2), ("(?i)a{3}", 2), ("(?i:a){3}", 2), ("a{3}{3}", 8), ("a{3}|b{3}", 4),
        ("(a?){900}a{900}", 1798), ("(x{3}", 2),
    ],
)  # fmt: skip
def test_an_expression_grows_by_what_its_repetitions_repeat(pattern: str, grown: int) -> None:
    assert repeated(pattern) == grown


@given(st.recursive(st.sampled_from("ab"), _larger, max_leaves=6))
def test_growth_is_that_of_the_expression_written_out(pattern: str) -> None:
    written_out = pattern
    while counted := re.search(r"\(([ab]*)\)\{(\d)\}", written_out):
        written_out = written_out.replace(counted[0], counted[1] * int(counted[2]), 1)
    assert repeated(pattern) == len(re.findall("[ab]", written_out)) - len(re.findall("[ab]", pattern))


@pytest.mark.parametrize("pattern", ["(a?){900}a{900}", "x{600}y{600}", "((abc){20}){20}", r"(\w?){300}b"])
def test_an_expression_that_repeats_too_much_is_refused_where_it_stands(pattern: str) -> None:
    said = "the regular expression repeats too much: written out it has over 1000 more pieces"
    assert _errors(_text({"c-uri|re": pattern})) == [f"r.yml:10:16: {said} (repeat less, or use * or +)"]
    assert _compiled(_text({"c-uri|re": "x{1000,}"})).columns == {"url_original"}


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+b", "(.*a){9}$", "(x+x+)+y"])
def test_an_expression_that_makes_others_backtrack_takes_time_by_the_length_of_the_text(pattern: str) -> None:
    frame = frame_of(EventKind.PROXY, [{"url_original": letter * 20_000 + "!"} for letter in "ax"])
    condition = _compiled(_text({"c-uri|re": pattern}))
    started = time.process_time()
    assert frame.filter(condition.exact).is_empty()
    assert time.process_time() - started < 5


def test_a_list_beyond_the_limit_is_refused_where_it_stands() -> None:
    errors = _errors(_text({"c-uri": [f"v{i}" for i in range(MAX_VALUES + 1)]}))
    assert errors == [
        f"r.yml:10:13: {MAX_VALUES + 1} values are more than {MAX_VALUES} (split the list over several rules)"
    ]


@pytest.mark.parametrize(
    "selection",
    [
        [f"v{i}" for i in range(MAX_KEYWORDS + 1)],
        {"|all": [f"v{i}" for i in range(MAX_KEYWORDS + 1)]},
        {"|base64offset": [f"v{i}" for i in range(MAX_KEYWORDS // 3 + 1)]},
    ],
    ids=["any", "all", "base64offset"],
)
def test_more_keywords_than_the_limit_are_refused_where_they_become_too_many(selection: Any) -> None:
    place = "r.yml:9:8" if isinstance(selection, list) else f"r.yml:10:{8 + len(next(iter(selection)))}"
    said = f"the rule has more than {MAX_KEYWORDS} values without a field (name the field, or split it)"
    assert _errors(_text(selection)) == [f"{place}: {said}"]
    two = [{"|all": ["a"] * (MAX_KEYWORDS // 2)}, {"|contains": ["b"] * (MAX_KEYWORDS // 2 + 1)}]
    assert [error.partition(": ")[2] for error in _errors(_text(two))] == [said]


def test_keywords_up_to_the_limit_are_found_in_any_column() -> None:
    condition = _compiled(_text([f"v{i}x" for i in range(MAX_KEYWORDS)]))
    rows = [{"user_name": f"a V{i}X"} if i % 2 else {"url_original": f"v{i}xy"} for i in range(MAX_KEYWORDS + 50)]
    frame = frame_of(EventKind.PROXY, rows)
    assert frame.select(hit=condition.exact)["hit"].sum() == MAX_KEYWORDS
    assert frame.select(hit=condition.possible)["hit"].sum() == MAX_KEYWORDS
    assert len(str(condition.possible)) < 100 * len(str(_compiled(_text(["v1x"])).possible))


@pytest.mark.parametrize("field", ["c-uri", "c-uri|re"])
def test_more_expressions_than_the_limit_are_refused_where_they_become_too_many(field: str) -> None:
    place = f"r.yml:10:{8 + len(field)}"
    said = f"the rule has more than {MAX_EXPRESSIONS} regular expressions and values with a wildcard inside (split it)"
    assert _errors(_text({field: [f"x.*y?z{i}" for i in range(MAX_EXPRESSIONS + 1)]})) == [f"{place}: {said}"]


def test_wildcards_at_the_ends_are_no_expressions() -> None:
    values = [f"{'*' * (i % 2)}v{i}*" for i in range(MAX_EXPRESSIONS + 1)] + ["*", "a"]
    assert _compiled(_text({"c-uri": values})).columns == {"url_original"}


@pytest.mark.parametrize("field", ["c-uri", "c-uri|contains", "c-uri|startswith", "c-uri|cased"])
def test_a_list_at_the_limit_runs(field: str) -> None:
    condition = _compiled(_text({field: [f"value-{i}-" for i in range(MAX_VALUES)]}))
    frame = frame_of(EventKind.PROXY, [{"url_original": f"value-{i * 7}-"} for i in range(2_000)])
    expected = [i * 7 < MAX_VALUES for i in range(2_000)]
    assert frame.select(hit=condition.exact)["hit"].to_list() == expected
    found = Scanner({"n": condition}, keyword_columns(EventKind.PROXY)).find(frame)
    assert found["row"].to_list() == [i for i, hit in enumerate(expected) if hit]


@pytest.mark.parametrize(
    "condition",
    ["(" * (MAX_NESTING + 1) + "s" + ")" * (MAX_NESTING + 1), " and ".join(["s"] * 2_000), "not " * 2_000 + "s"],
)
def test_a_condition_that_is_too_much_for_a_parser_is_refused(condition: str) -> None:
    assert any("r.yml:" in error for error in _errors(_text({"c-uri": "x"}, condition)))


def test_a_condition_of_many_selections_runs() -> None:
    selections = {f"s{i}": {"c-uri|contains|all": [f"a{i}b", "z"]} for i in range(500)}
    rule = {"title": "t", "name": "n", "logsource": {"category": "proxy"}, "level": "low"}
    condition = _compiled(json.dumps(rule | {"detection": selections | {"condition": "1 of s*"}}))
    frame = frame_of(EventKind.PROXY, [{"url_original": f"a{i}b{'z' * (i % 2)}"} for i in range(600)])
    assert frame.select(hit=condition.exact)["hit"].sum() == 250
    assert Scanner({"n": condition}, ()).find(frame).height == 250


def test_a_text_with_many_wildcards_takes_time_by_the_length_of_the_text() -> None:
    condition = _compiled(_text({"c-uri": "*a" * 40 + "*b"}))
    frame = pl.concat([frame_of(EventKind.PROXY, [{"url_original": "a" * 20_000}])] * 5)
    started = time.process_time()
    assert frame.filter(condition.exact).is_empty()
    assert time.process_time() - started < 5


def test_a_rule_with_too_many_selections_is_refused_at_once() -> None:
    selections = "".join(f"  s{n}: {{url_path: x{n}}}\n" for n in range(MAX_SELECTIONS + 1))
    text = (
        f"title: t\nname: t\nlevel: low\nlogsource: {{category: proxy}}\ndetection:\n{selections}  condition: 1 of s*\n"
    )
    with pytest.raises(Errors, match="501 selections are more than 500"):
        parse_rules(text)
