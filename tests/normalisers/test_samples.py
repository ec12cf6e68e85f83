"""Every line of the public samples, and every field that a peer states of it."""

from __future__ import annotations

import json

import pytest

from streams.normalisers.reasons import vocabulary
from tests.normalisers.comparison import SAMPLES, cases, fresh, one_line, table, tables, tally

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples in {SAMPLES}")
POSTFIX = "postfix"  # has a comparison of its own: most of its cases are bodies of lines


def test_every_table_is_of_a_format_of_the_samples() -> None:
    with (SAMPLES / "cases.jsonl").open(encoding="utf-8") as file:
        formats = {json.loads(line)["format"] for line in file}
    assert {*tables(), POSTFIX} <= formats


@pytest.mark.parametrize("sample_format", tables())
def test_every_line_becomes_an_event_or_is_ignored_or_refused_for_a_named_reason(sample_format: str) -> None:
    said = table(sample_format)
    found = cases(sample_format)
    for case in found:
        normaliser = fresh(said.type_of(case))
        out = one_line(normaliser, said.whole_line(case))
        held = normaliser.open_lines
        assert (out.events.height > 0) + len(out.ignored) + len(out.rejects) + held == 1, case.id
        due = [said.rejects[case.id]] if case.id in said.rejects else []
        assert [r.reason for r in out.rejects] == due, case.id
        assert {reason for _, reason in out.ignored} <= vocabulary(), case.id
    assert set(said.rejects) <= {case.id for case in found}


@pytest.mark.parametrize("sample_format", tables())
def test_peers_agree_in_97_of_100_fields_and_each_disagreement_is_explained(
    sample_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = table(sample_format)
    result = tally(cases(sample_format), said)
    with capsys.disabled():
        print("\n" + result.report(sample_format))  # noqa: T201 - the denominator is part of the result
    unlisted = [c for c in result.disagreements if (c.case, c.key) not in said.disagreements]
    assert not unlisted, "\n".join(f"{c.case} {c.key}: {c.theirs!r}, ours {c.column} {c.ours!r}" for c in unlisted)
    listed = {(c.case, c.key) for c in result.disagreements}
    assert set(said.disagreements) == listed, "a listed disagreement is none any more"
    assert all(entry["right"] in {"us", "peer", "neither"} and entry["why"] for entry in said.disagreements.values())
    assert len(result.disagreements) <= 0.03 * len(result.comparisons)


@pytest.mark.parametrize("sample_format", tables())
def test_every_mapped_key_is_stated_by_some_case(sample_format: str) -> None:
    found = cases(sample_format)
    for repo, keys in table(sample_format).keys.items():
        stated = {key for case in found if case.repo == repo for key in case.expected}
        assert {key.key for key in keys} <= stated, repo
