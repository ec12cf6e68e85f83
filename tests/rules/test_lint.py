"""Every mistake in a rule file is reported with its place and what to do, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from sigma.correlations import SigmaCorrelationTimespan

from agents.rules.loader import POLICY_FOLDER, lint_files, load_rules, parse_rules
from agents.rules.positions import MAX_NODES, read_documents
from agents.rules.remarks import warnings
from agents.rules.shape import UNIT_SECONDS
from schemas.errors import Errors, RuleError

DETECTION = """\
title: Failures
name: failures
logsource: {category: authentication}
level: low
detection:
  failed: {event_action: login, event_outcome: failure}
  condition: failed
"""
CORRELATION = """\
title: Many failures
name: many-failures
level: medium
correlation:
  type: event_count
  rules: [failures]
  group-by: [user_name]
  timespan: 5m
  condition: {gte: 10}
"""
BOTH = f"{CORRELATION}---\n{DETECTION}"
VALUES = BOTH.replace("event_count", "value_count").replace("{gte: 10}", "{field: source_ip, gte: 10}")
SEQUENCE = (
    BOTH.replace("event_count", "temporal_ordered").replace("  condition: {gte: 10}\n", "")
    + "---\n"
    + DETECTION.replace("failures", "successes").replace("failure}", "success}")
).replace("rules: [failures]", "rules: [failures, successes]", 1)


def _own(text: str, more: str) -> str:
    """The correlation with an `aupstream:` section."""
    return text.replace("---\n", f"aupstream: {more}\n---\n", 1)


def _asking(text: str, condition: str) -> str:
    """A temporal correlation with an extended condition."""
    return text.replace("timespan: 5m", f"timespan: 5m\n  condition: {condition}", 1)


def _aliased(aliases: str) -> str:
    """An order of rules, kept by a name that is no column."""
    return SEQUENCE.replace("[user_name]", "[who]", 1).replace("5m", f"5m\n  aliases: {aliases}", 1)


def _errors(text: str) -> list[str]:
    with pytest.raises(Errors) as raised:
        parse_rules(text, "r.yml")
    assert raised.value.exit_code == RuleError.exit_code
    return [str(e) for e in raised.value.errors]


def test_the_rules_that_come_with_aupstream_have_no_errors() -> None:
    assert lint_files([POLICY_FOLDER]).errors == ()
    assert [r.id for r in load_rules().rules] == [
        "addresses-given-away", "adult-pages", "attachment-passed-on", "commercial-mail", "crypto-mining",
        "file-sharing", "filter-bypass", "guessed-password", "illegal-pages", "impossible-travel", "loaded-programs",
        "mail-to-media", "many-devices-on-a-port", "mass-mail", "mass-mail-relayed", "network-hardware", "new-device",
        "own-printer", "peer-fan-out", "personal-time", "personal-volume", "private-mail-to-student", "reply-all",
        "rogue-dhcp-server", "same-subject-to-many", "scanning", "selling", "shared-device", "soliciting", "two-sites",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        (BOTH.replace("timespan: 5m", "timespan: 5min"), "r.yml:8:13", "'5min' is no time span"),
        (BOTH.replace("timespan: 5m", "timespan: 0m"), "r.yml:8:13", "'0m' is no time span"),
        (BOTH.replace("timespan: 5m", "timespan: 300"), "r.yml:8:13", "300 is no time span"),
        (BOTH.replace("timespan:", "timeframe:"), "r.yml:8:3", "did you mean 'timespan'?"),
        (BOTH.replace("  timespan: 5m\n", ""), "r.yml:5:3", "timespan is missing"),
        (BOTH.replace("[user_name]", "[usr_name]"), "r.yml:7:14", "there is no column 'usr_name' in login events"),
        (BOTH.replace("[user_name]", "[timestamp]"), "r.yml:7:14", "cannot be used here"),
        (BOTH.replace("[user_name]", "[]"), "r.yml:7:13", "group-by names nothing"),
        (BOTH.replace("[user_name]", "[user_name, User]"), "r.yml:7:25", "'User' is the same as 'user_name'"),
        (_aliased("{who: {failures: user_name}}"), "r.yml:7:14", "'who' says nothing of successes"),
        (_aliased("{who: {failures: timestamp, successes: User}}"), "r.yml:9:29", "'timestamp' is time and cannot"),
        (_aliased("{who: {failures: [User], successes: User}}"), "r.yml:9:29", "do not go together"),
        (_own(BOTH.replace("  group-by: [user_name]\n", ""), "{kind: new_value}"), "r.yml:5:3", "group-by is missing"),
        (BOTH.replace("[failures]", "[failure]"), "r.yml:6:11", "did you mean 'failures'?"),
        (BOTH.replace("[failures]", "[many-failures]"), "r.yml:6:10", "in a circle: many-failures -> many-failures"),
        (BOTH.replace("type: event_count", "type: event_cnt"), "r.yml:5:9", "did you mean 'event_count'?"),
        (BOTH.replace("{gte: 10}", "{gt: 9, lt: 9}"), "r.yml:9:14", "no number fits"),
        (BOTH.replace("{gte: 10}", "{}"), "r.yml:9:14", "has no limit"),
        (BOTH.replace("{gte: 10}", "{gte: 10, field: user_name}"), "r.yml:9:24", "counts no field"),
        (BOTH.replace("{gte: 10}", "{gte: 10, percentile: 5}"), "r.yml:9:24", "belongs to value_percentile"),
        (BOTH.replace("{gte: 10}", "{gte: ten}"), "r.yml:9:20", "must be a number"),
        (_own(BOTH, "{window: slidng}"), "r.yml:10:21", "did you mean 'sliding'?"),
        (_own(BOTH, "{suppress: soon}"), "r.yml:10:23", "no time span"),
        (_asking(SEQUENCE, "failures or successes"), "r.yml:9:14", "no `or`"),
        (_asking(SEQUENCE, "failures and nothing"), "r.yml:9:14", "is no rule of"),
        (_asking(SEQUENCE, "failures and no-thing"), "r.yml:9:14", "'no-thing' is no rule of"),
        (_asking(SEQUENCE, "failures and"), "r.yml:9:14", "extended condition"),
        (BOTH.replace("{gte: 10}", "{gte: 0}"), "r.yml:9:20", "must be a number above 0"),
        (BOTH.replace("level: medium", "level: middle"), "r.yml:3:8", "level 'middle' is none of Sigma's"),
        (BOTH.replace("level: medium", "levl: medium"), "r.yml:3:1", "unknown key 'levl' in correlation rule"),
        (BOTH.replace("name: many-failures", "name: Many Failures"), "r.yml:2:7", "lower-case words joined by hyphens"),
        (BOTH.replace("title: Many failures\n", ""), "r.yml:1:1", "title is missing"),
        (_own(BOTH, "{clause: 14}"), "r.yml:10:21", "clause must be a whole number from 0 to 13"),
        (_own(BOTH, "{clause: 13}"), "r.yml:1:1", "what else may look like this"),
        (_own(BOTH, "{claus: 13}"), "r.yml:10:13", "did you mean 'clause'?"),
        (_own(BOTH, "{kind: new_values}"), "r.yml:10:19", "kind 'new_values' is not known"),
        (_own(BOTH, "{kind: sequence, counts: [8, 1]}"), "r.yml:5:9", "must stand on correlation type"),
        (_own(BOTH, "{counts: [8, 1]}"), "r.yml:10:13", "counts belong to kind sequence"),
        (_own(BOTH, "{learn: {time: 14d}}"), "r.yml:10:13", "learn belongs to kind new_value"),
        (_own(BOTH, "{informational-bases: [other]}"), "r.yml:10:34", "'other' is no rule of this correlation"),
        (_own(BOTH, "{examples: 3}"), "r.yml:10:23", "examples must be a list"),
        (_own(VALUES, "{thresholds: [{name: a, gte: 11}]}"), "r.yml:9:14", "must be the lowest threshold, 11"),
        (_own(VALUES, "{thresholds: [{name: a, gte: 10, wher: x}]}"), "r.yml:10:45", "did you mean 'where'?"),
        (_own(VALUES, "{thresholds: [{name: a, gte: 10, per: day}]}"), "r.yml:10:50", "per 'day' is not known"),
        (_own(VALUES, "{thresholds: [{name: a, gte: 10, where: internal}]}"), "r.yml:10:52", "have classes"),
        (VALUES.replace("field: source_ip", "field: source_p"), "r.yml:9:22", "there is no column 'source_p'"),
        (VALUES.replace("field: source_ip", "field: [source_ip, src_ip]"), "r.yml:9:22", "a column stands here twice"),
        (VALUES.replace("field: source_ip", "field: [source_ip, sorce]"), "r.yml:9:34", "there is no column 'sorce'"),
        (
            VALUES.replace("value_count", "value_sum").replace("field: source_ip", "field: [source_port, nas_port]"),
            "r.yml:9:22",
            "only a plain value_count takes several fields",
        ),
        (VALUES.replace("field: source_ip, ", ""), "r.yml:9:14", "the condition names no field"),
        (_own(SEQUENCE, "{kind: sequence, counts: [8]}"), "r.yml:9:37", "a count for each of its rules"),
        (_own(SEQUENCE, "{kind: sequence, counts: [8, 0]}"), "r.yml:9:37", "a count for each of its rules"),
        (DETECTION.replace("authentication", "antivirus"), "r.yml:3:12", "is none that is collected"),
        (DETECTION.replace("event_outcome", "event_outcom"), "r.yml:6:33", "did you mean 'event_outcome'?"),
        (DETECTION.replace("condition: failed", "condition: faild"), "r.yml:7:14", "did you mean 'failed'?"),
        (DETECTION.replace("condition: failed", "condition: 1 of faild*"), "r.yml:7:14", "did you mean 'failed'?"),
        (DETECTION.replace("condition: failed", "condition: failed and"), "r.yml:7:14", "see conditions in the Sigma"),
        (DETECTION.replace("condition: failed", "condition: 1 of x*"), "r.yml:7:14", "names 'x*', which is no"),
        (DETECTION.replace("event_outcome:", "event_outcome|contians:"), "r.yml:6:33", "did you mean 'contains'?"),
        (DETECTION.replace("event_action: ", "event_action|utf16lee: "), "r.yml:6:12", "did you mean 'utf16le'?"),
        (DETECTION.replace("event_outcome: failure", "source_port|gte: x"), "r.yml:6:50", "gte does not take"),
        (DETECTION.replace("event_outcome: failure", "user_name|contains: null"), "r.yml:6:53", "take the value null"),
        (DETECTION.replace("event_outcome: failure", 'user_name: "\\ud800"'), "r.yml:6:44", "half a character"),
        (DETECTION.replace("event_outcome: failure", '"user\\udfff": a'), "r.yml:6:33", "half a character"),
        (DETECTION.replace("event_outcome: failure", 'user_name|re: "(["'), "r.yml:6:47", "invalid: missing ]: ["),
        (DETECTION.replace("event_outcome: failure", "user_name: {a: b}"), "r.yml:6:44", "a mapping is no value"),
        (DETECTION.replace("condition: failed", "condition: failed and ("), "r.yml:7:14", "character 13: it ends"),
        (DETECTION.replace("condition: failed", "condition: failed )"), "r.yml:7:14", "')' is not expected there"),
        (DETECTION.replace("condition: failed", "condition: failed | count() > 5"), "r.yml:7:14", "write a corr"),
        (DETECTION.replace("event_outcome: failure", "user_name|gte: 5"), "r.yml:6:48", "it has no order"),
        (DETECTION.replace("event_outcome: failure", "source_port: ssh"), "r.yml:6:46", "can never equal source_port"),
        (DETECTION.replace("event_outcome: failure", "source_ip|cidr: 10.0.0.0/99"), "r.yml:6:49", "Invalid CIDR"),
        (DETECTION.replace("event_outcome: failure", 'user_name|re: "a(?=b)"'), "r.yml:6:47", "egular expression"),
        (DETECTION.replace("event_outcome: failure", "user_name|minute: 5"), "r.yml:6:51", "and no time"),
        (DETECTION.replace("level: low", "id: no-uuid"), "r.yml:4:5", "must be an UUID"),
        (DETECTION.replace("detection:", "detections:"), "r.yml:1:1", "neither a detection nor a correlation"),
        (f"{DETECTION}---\n{DETECTION}", "r.yml:10:7", "name 'failures' is taken by r.yml:2:7"),
        (DETECTION.replace("level: low", "level: low\nlevel: high"), "r.yml:5:1", "key 'level' stands here twice"),
        (DETECTION.replace("name: failures", "name: [failures"), "r.yml:3:10", "not YAML"),
        (DETECTION.replace("title: Failures", "title: !!python/name:os.system x"), "r.yml:1:8", "tag"),
        ("- a\n- b\n", "r.yml:1:1", "must be a mapping"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_at_its_place(text: str, place: str, says: str) -> None:
    errors = _errors(text)
    assert any(e.startswith(f"{place}: ") and says in e for e in errors), errors


def test_all_mistakes_of_all_files_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "one.yml").write_text(BOTH.replace("5m", "5x").replace("level: medium", "level: x"), encoding="utf-8")
    (tmp_path / "two.yaml").write_text(DETECTION.replace("failures", "more").replace("low", "lo"), encoding="utf-8")
    (tmp_path / "three.yml").write_bytes("# ö\ntitle: ".encode() + b"\xff")
    (tmp_path / "ignored.txt").write_text("no rule", encoding="utf-8")
    lint = lint_files([tmp_path])
    assert lint.ruleset is None
    assert lint.files == 3
    found = [str(e).removeprefix(f"{tmp_path}/").split(" ")[0] for e in lint.errors]
    assert sorted(found) == ["one.yml:3:8:", "one.yml:8:13:", "three.yml:2:8:", "two.yaml:4:8:"]


def test_what_tries_expressions_writes_nothing_by_itself(capfd: pytest.CaptureFixture[str]) -> None:
    assert _errors(DETECTION.replace("event_outcome: failure", 'user_name|re: "(["'))
    assert capfd.readouterr() == ("", "")


def test_a_rule_that_refers_to_a_broken_one_is_not_blamed_for_it() -> None:
    errors = _errors(BOTH.replace("event_outcome", "event_outcom"))
    assert len(errors) == 1
    assert "event_outcom" in errors[0]


def test_a_missing_folder_is_an_error_of_its_own(tmp_path: Path) -> None:
    lint = lint_files([tmp_path / "nowhere"])
    assert "no such file or folder" in str(lint.errors[0])


def test_aliases_that_multiply_are_refused() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 8))
    errors = _errors(bomb)
    assert f"more than {MAX_NODES} values" in errors[0]


def test_the_version_of_a_rule_changes_with_what_it_is_made_of_and_not_with_its_examples() -> None:
    plain = parse_rules(BOTH).rules[0]
    assert len(plain.version) == 12
    assert parse_rules(BOTH).rules[0].version == plain.version
    assert parse_rules(f"# a comment\n{BOTH}").rules[0].version == plain.version
    assert parse_rules(BOTH.replace("5m", "6m")).rules[0].version != plain.version
    assert parse_rules(BOTH.replace("failure}", "success}")).rules[0].version != plain.version
    with_examples = parse_rules(_own(BOTH, "{examples: []}")).rules[0]
    assert with_examples.version == parse_rules(_own(BOTH, "{}")).rules[0].version
    assert parse_rules(BOTH).version != parse_rules(BOTH.replace("5m", "6m")).version


def test_a_detection_by_itself_is_a_rule_without_a_window() -> None:
    rule = parse_rules(DETECTION + "aupstream: {group-by: [source_ip, User]}\n").rules[0]
    assert (rule.kind, rule.bases, rule.group_by, rule.clause) == (
        "single",
        ("failures",),
        ("source_ip", "user_name"),
        0,
    )
    assert parse_rules(DETECTION).rules[0].group_by == ("user_name",)


def test_a_detection_that_a_correlation_uses_is_no_rule_of_its_own_unless_that_says_generate() -> None:
    assert [r.id for r in parse_rules(BOTH).rules] == ["many-failures"]
    both = parse_rules(BOTH.replace("timespan: 5m", "timespan: 5m\n  generate: true"))
    assert [r.id for r in both.rules] == ["failures", "many-failures"]


def test_field_names_of_sigma_are_mapped_in_group_by_and_condition() -> None:
    text = VALUES.replace("[user_name]", "[User]").replace("field: source_ip", "field: IpAddress")
    rule = parse_rules(text).rules[0]
    assert (rule.group_by, rule.value_field) == (("user_name",), "source_ip")


def test_names_that_differ_only_in_a_hyphen_are_told_apart_in_a_condition() -> None:
    text = "---\n".join(
        [
            CORRELATION.replace("event_count", "temporal")
            .replace("[failures]", "[a-b, a_b, other]")
            .replace("{gte: 10}", "(a-b or other) and not a_b"),
            *(DETECTION.replace("name: failures", f"name: {name}") for name in ("a-b", "a_b", "other")),
        ]
    )
    (rule,) = parse_rules(text).rules
    assert rule.presence == ("and", ("or", "a-b", "other"), ("not", "a_b"))


def test_an_alias_joins_columns_of_different_names() -> None:
    text = SEQUENCE.replace(
        "group-by: [user_name]",
        "aliases: {who: {failures: user_name, successes: target_user_name}}\n  group-by: [who]",
        1,
    )
    rule = parse_rules(_own(text, "{kind: sequence, counts: [8, 1]}")).rules[0]
    assert rule.group_by == ("who",)
    assert [rule.column_of("who", base) for base in rule.bases] == ["user_name", "target_user_name"]


def test_greater_than_becomes_at_least_one_more() -> None:
    assert parse_rules(BOTH.replace("{gte: 10}", "{gt: 10}")).rules[0].thresholds[0].gte == 11


@pytest.mark.parametrize("unit", UNIT_SECONDS)
def test_time_spans_are_as_long_as_pysigma_has_them(unit: str) -> None:
    rule = parse_rules(BOTH.replace("timespan: 5m", f"timespan: 5{unit}")).rules[0]
    assert rule.timespan_us == SigmaCorrelationTimespan(f"5{unit}").seconds * 1_000_000


@pytest.mark.parametrize("condition", ["not " * 21 + "{0}", "not (" * 10 + "not {0}" + ")" * 10, "not " * 900 + "{0}"])
def test_nots_within_each_other_are_refused_as_brackets_are(condition: str) -> None:
    said = "condition has more than 20 brackets or nots within each other (split the rule)"
    of_one = DETECTION.replace("condition: failed", f"condition: {condition.format('failed')}")
    assert _errors(of_one) == [f"r.yml:7:14: {said}"]
    of_several = _asking(SEQUENCE.replace("temporal_ordered", "temporal"), condition.format("failures"))
    assert f"r.yml:9:14: {said}" in _errors(of_several)


def test_one_mistake_of_a_detection_does_not_hide_another() -> None:
    text = DETECTION.replace("level: low", "level: lowish").replace("event_outcome: failure", "event_outcom: failure")
    text = text.replace("condition: failed", "condition: failed and (faild or 1 of x*")
    assert sorted(e.partition(" (")[0] for e in _errors(text)) == [
        "r.yml:4:8: 'lowish' is not a valid Sigma rule level",
        "r.yml:6:33: there is no field 'event_outcom' in login events",
        "r.yml:7:14: Unbalanced parentheses or expression syntax error, found end of text",
        "r.yml:7:14: the condition names 'faild', which is no selection of the rule",
        "r.yml:7:14: the condition names 'x*', which is no selection of the rule",
    ]
    unknown = _errors(text.replace("authentication", "authenticatoin"))
    assert any("'authenticatoin' is none that is collected" in e for e in unknown)
    assert any("'lowish'" in e for e in unknown)
    assert any("names 'faild'" in e for e in unknown)


def test_nots_beside_each_other_are_not_within_each_other() -> None:
    condition = " and ".join(["not (not failed)"] * 50)
    assert parse_rules(DETECTION.replace("condition: failed", f"condition: {condition}")).detections
    assert parse_rules(DETECTION.replace("condition: failed", "condition: " + "not " * 20 + "failed")).detections


@pytest.mark.parametrize(
    ("selection", "place"),
    [
        ("{user_name: anna, source_ip|startswith: []}", "r.yml:6:51"),
        ("{source_ip: []}", "r.yml:6:23"),
        ("[{source_ip: []}]", "r.yml:6:24"),
        ("{source_ip|re: []}", "r.yml:6:26"),
        ("{source_ip|contains|all: []}", "r.yml:6:36"),
        ("[[]]", "r.yml:6:12"),
        ("[{user_name: anna}, []]", "r.yml:6:31"),
    ],
)
def test_an_empty_list_is_refused_and_not_taken_for_what_is_missing(selection: str, place: str) -> None:
    text = DETECTION.replace("{event_action: login, event_outcome: failure}", selection)
    (error,) = _errors(text)
    assert error.startswith(f"{place}: an empty list matches nothing (remove ")


@pytest.mark.parametrize("field", ["user_name|expand", "user_name|contains|expand", "user_name|re|expand"])
def test_an_empty_list_of_a_placeholder_is_refused_where_it_is_used(field: str) -> None:
    text = DETECTION.replace("event_action: login", f"{field}: '%empty%'") + "---\nplaceholders: {empty: []}\n"
    (error,) = _errors(text)
    assert error.startswith(f"r.yml:6:{14 + len(field)}: there is no list for the placeholder %empty%, or it is empty")


def test_mistakes_are_told_in_the_order_of_their_lines(tmp_path: Path) -> None:
    wrong = DETECTION.replace("level: low", "level: low\nlevels: low") + "".join(f"k{i}: x\n" for i in range(100))
    (tmp_path / "b.yml").write_text(wrong.replace("event_action:", "action:"), "utf-8")
    (tmp_path / "a.yml").write_text("title: t\n", "utf-8")
    told = [error.where.removeprefix(f"{tmp_path}/") for error in lint_files([tmp_path]).errors]
    lines = [5, 7, *range(9, 109)]
    assert [where.rpartition(":")[0] for where in told] == ["a.yml:1", *(f"b.yml:{line}" for line in lines)]


def test_warnings_are_told_in_the_order_of_their_lines() -> None:
    text = "---\n".join(DETECTION.replace("failures", f"failures-{i}") for i in range(15))
    told = warnings(parse_rules(text, "r.yml"), read_documents(text, "r.yml")[0])
    lines = [int(warning.where.split(":")[1]) for warning in told]
    assert lines == sorted(lines)
    assert len(set(lines)) == 15


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOTH.replace("gte: 10", "lt: 1"), "no number of rows"),
        (BOTH.replace("gte: 10", "eq: 0"), "no number of rows"),
        (BOTH.replace("gte: 10", "gte: 200000"), "keeps 100000 at most"),
        (VALUES.replace("gte: 10", "gte: 300000"), "keeps 200000 at most"),
        (_own(BOTH, "{lasting: 5m}"), "lasting"),
        (BOTH.replace("gte: 10", "lt: 2"), ""),
        (_own(BOTH, "{lasting: 5m, window: session}"), ""),
    ],
)
def test_a_rule_that_can_never_hold_is_warned_of(text: str, says: str) -> None:
    told = [str(w) for w in warnings(parse_rules(text, "r.yml"), read_documents(text, "r.yml")[0])]
    assert [says in w for w in told if "never find" in w] == ([True] if says else [])


def test_what_is_wrong_in_an_example_is_named_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "r.yml"
    file.write_text(
        "title: T\nname: t\nlevel: low\nlogsource: {category: authentication}\n"
        "detection: {sel: {event_action: login}, condition: sel}\n"
        "aupstream:\n  examples:\n"
        "    - name: one\n"
        "      events:\n"
        "        - {kind: login, at: 2026-03-02T09:00:00Z, event_acton: login}\n"
        "        - {kind: logn, at: 2026-03-02T09:00:00Z}\n"
        "        - {kind: login, at: 2026-03-02T09:00, source_site: north}\n"
        "        - {kind: login}\n"
        "        - [login]\n"
        "      violations:\n"
        "        - {group_kye: {user_name: a}}\n"
        "    - name: two\n"
    )
    found = [(e.where.removeprefix(f"{file}:"), e.what) for e in lint_files([file]).errors]
    assert found == [
        ("10:51", "there is no column 'event_acton' in login events"),
        ("11:18", "event has no kind 'logn'"),
        ("12:29", "'2026-03-02T09:00' is no time"),
        ("12:47", "'source_site' is computed in login events"),
        ("13:11", "the event says no time"),
        ("14:11", "events must be mappings, not ['login']"),
        ("16:11", "the violation says no group_key"),
        ("16:12", "unknown key 'group_kye' in violation"),
        ("17:7", "an example needs a list of events"),
        ("17:7", "an example needs a list of violations"),
    ]
