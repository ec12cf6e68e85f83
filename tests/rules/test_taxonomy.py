"""Lists for placeholders, pipelines of one's own, filters, collections of other people's rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from agents.rules.compiled import Compiled
from agents.rules.examples import frame_of
from agents.rules.loader import Lint, lint_files, parse_rules
from agents.rules.reading import Beside
from agents.rules.taxonomy import MAX_VALUES
from schemas.kinds import EventKind

RULE = """\
title: Rule
name: rule
logsource: {category: proxy}
level: low
detection:
  page: {c-uri|contains|expand: '%pages%'}
  condition: page
"""


def _rows(lint: Lint, column: str, texts: list[str], name: str = "rule") -> list[str]:
    """Which of some texts in a column the rule matches."""
    assert lint.errors == ()
    assert lint.ruleset is not None
    detection = lint.ruleset.detection(name)
    assert isinstance(detection.expression, Compiled)
    frame = frame_of(detection.kind, [{column: text} for text in texts])
    return frame.filter(detection.expression.exact)[column].to_list()


def _files(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_txt", ".txt").replace("_yml", ".yml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_a_placeholder_is_filled_from_the_list_of_its_name_beside_the_rules(tmp_path: Path) -> None:
    lint = lint_files([_files(tmp_path, rule_yml=RULE, lists__pages_txt="# known\nshop\n\n ga*e \n")])
    assert _rows(lint, "url_original", ["x shop x", "ga?e", "#", "none", "game"]) == ["x shop x", "ga?e", "game"]


def test_a_placeholder_is_filled_from_a_document_of_lists(tmp_path: Path) -> None:
    lint = lint_files([_files(tmp_path, rule_yml=f"{RULE}---\nplaceholders: {{pages: [shop, 8080]}}\n")])
    assert _rows(lint, "url_original", ["shop", "h:8080/", "game"]) == ["shop", "h:8080/"]


def test_a_placeholder_without_a_list_is_a_mistake_with_its_place(tmp_path: Path) -> None:
    (error,) = lint_files([_files(tmp_path, rule_yml=RULE)]).errors
    assert error.where == f"{tmp_path}/rule.yml:6:33"
    assert "no list for the placeholder %pages%" in error.what


def test_a_list_that_is_too_long_is_a_mistake(tmp_path: Path) -> None:
    lint = lint_files([_files(tmp_path, rule_yml=RULE, lists__pages_txt="x\n" * (MAX_VALUES + 1))])
    assert any(e.where == f"{tmp_path}/lists/pages.txt" and "more than" in e.what for e in lint.errors)


PIPELINE = """\
name: ours
priority: 10
transformations:
  - id: names
    type: field_name_mapping
    mapping: {site: cs-host}
"""


def test_a_pipeline_of_ones_own_is_applied_before_ours(tmp_path: Path) -> None:
    rule = RULE.replace("c-uri|contains|expand: '%pages%'", "site: shop.example")
    folder = _files(tmp_path, rules__rule_yml=rule, pipelines__ours_yml=PIPELINE)
    lint = lint_files([folder / "rules"], Beside(pipelines=(folder / "pipelines",)))
    assert _rows(lint, "url_domain", ["shop.example", "site"]) == ["shop.example"]
    (error,) = lint_files([folder / "rules"]).errors
    assert error.where.endswith("rule.yml:6:10")
    assert "no field 'site'" in error.what


def _version(lint: Lint) -> tuple[str, str]:
    assert lint.ruleset is not None, lint.errors
    return lint.ruleset.rules[0].version, lint.ruleset.version


def test_the_version_of_a_rule_changes_with_a_list_that_it_names_and_with_no_other(tmp_path: Path) -> None:
    folder = _files(tmp_path, rule_yml=RULE, lists__pages_txt="shop\n", lists__other_txt="x\n")
    first = _version(lint_files([folder]))
    assert _version(lint_files([_files(folder, lists__other_txt="y\n")])) == first
    second = _version(lint_files([_files(folder, lists__pages_txt="shop\ngame\n")]))
    assert (first[0] == second[0], first[1] == second[1]) == (False, False)
    many = RULE.replace("expand: '%pages%'", "contains: '%pages%'").replace("contains|contains", "contains")
    texts = (f"{many}---\nplaceholders: {{pages: [{word}]}}\n" for word in "ab")
    assert len({_version(lint_files([_files(tmp_path / "plain", rule_yml=t)])) for t in texts}) == 1, "it names none"


def test_the_version_of_a_rule_changes_with_a_pipeline_that_changes_it_and_with_no_other(tmp_path: Path) -> None:
    folder = _files(tmp_path, rules__rule_yml=PLAIN, pipelines__ours_yml=PIPELINE)
    beside = Beside(pipelines=(folder / "pipelines",))
    plain = _version(lint_files([folder / "rules"]))
    assert _version(lint_files([folder / "rules"], beside)) == plain
    _files(folder, pipelines__ours_yml=PIPELINE.replace("site: cs-host", "c-uri: cs-host"))
    assert _version(lint_files([folder / "rules"], beside)) != plain


CORRELATION = """\
title: Many
name: many
level: low
correlation:
  type: value_count
  rules: [rule, other]
  group-by: [who, place]
  aliases: {{place: {{rule: site, other: from}}}}
  timespan: 10m
  condition: {{field: {counted}, gte: 3}}
---
title: Rule
name: rule
logsource: {{category: proxy}}
detection: {{s: {{who: anna}}, condition: s}}
---
title: Other
name: other
logsource: {{category: authentication}}
detection: {{s: {{who: anna}}, condition: s}}
"""
NAMES = """\
name: names
transformations:
  - {type: field_name_mapping, mapping: {who: User, from: src_ip, both: [user_name, source_ip], what: cs-host}}
  - {type: field_name_mapping, mapping: {site: cs-host}, rule_conditions: [{type: logsource, category: proxy}]}
"""


def test_a_pipeline_maps_what_a_correlation_is_grouped_by_and_counts(tmp_path: Path) -> None:
    folder = _files(tmp_path, rules__rule_yml=CORRELATION.format(counted="who"), pipelines__names_yml=NAMES)
    lint = lint_files([folder / "rules"], Beside(pipelines=(folder / "pipelines",)))
    assert lint.errors == ()
    assert lint.ruleset is not None
    rule = lint.ruleset.rule("many")
    assert (rule.group_by, rule.value_field) == (("user_name", "place"), "user_name")
    assert {(a.base, a.column) for a in rule.aliases} == {("rule", "url_domain"), ("other", "source_ip")}


@pytest.mark.parametrize(
    ("counted", "says", "hint"),
    [
        ("both", "'both' is mapped to several columns in proxy events", "name one of user_name, source_ip"),
        ("[who, both]", "'both' is mapped to several columns in proxy events", "name one of user_name, source_ip"),
        ("what", "there is no column 'what' in login events", ""),
        ("site", "there is no column 'site' in login events", ""),
    ],
)
def test_a_pipeline_maps_a_counted_field_to_one_column_of_every_rule(
    tmp_path: Path, counted: str, says: str, hint: str
) -> None:
    folder = _files(tmp_path, rules__rule_yml=CORRELATION.format(counted=counted), pipelines__names_yml=NAMES)
    (error,) = lint_files([folder / "rules"], Beside(pipelines=(folder / "pipelines",))).errors
    assert error.where == f"{folder}/rules/rule.yml:10:{28 if counted[0] == '[' else 22}"
    assert (error.what, hint in error.hint) == (says, True)


@pytest.mark.parametrize(
    ("pipeline", "place", "says"),
    [
        (PIPELINE.replace("field_name_mapping", "command_placeholders"), ":5:11", "never does"),
        (PIPELINE.replace("field_name_mapping", "no_such"), ":4:3", "no processing pipeline"),
        (PIPELINE.replace("    mapping: {site: cs-host}\n", ""), ":4:3", "no processing pipeline"),
        ("transformations: [", ":1:19", "not YAML"),
    ],
)
def test_a_pipeline_that_is_wrong_is_named(tmp_path: Path, pipeline: str, place: str, says: str) -> None:
    folder = _files(tmp_path, pipelines__ours_yml=pipeline)
    lint = lint_files([], Beside(pipelines=(folder / "pipelines",)))
    assert any(str(e).startswith(f"{folder}/pipelines/ours.yml{place}: ") and says in e.what for e in lint.errors), [
        *map(str, lint.errors)
    ]


PLAIN = RULE.replace("c-uri|contains|expand: '%pages%'", "c-uri|contains: shop")
FILTER = """\
title: Known pages
name: known-pages
logsource: {category: proxy}
filter:
  rules: [rule]
  ours: {c-uri|endswith: school.example}
  theirs_a: {User: anna}
  theirs_b: {User: ben}
  condition: not (ours or 1 of theirs_*)
"""


@pytest.mark.parametrize("named", ["[rule]", "rule", "any", "[]"])
def test_a_filter_takes_what_it_says_out_of_the_rules_it_names(tmp_path: Path, named: str) -> None:
    text = f"{PLAIN}---\n{FILTER.replace('[rule]', named)}"
    lint = lint_files([_files(tmp_path, rule_yml=text)])
    assert _rows(lint, "url_original", ["shop", "shop.school.example", "other"]) == ["shop"]


def test_a_rule_that_counts_all_its_selections_does_not_count_those_of_a_filter() -> None:
    rules = parse_rules(f"{PLAIN.replace('condition: page', 'condition: 1 of them')}---\n{FILTER}")
    expression = rules.detection("rule").expression
    assert isinstance(expression, Compiled)
    frame = frame_of(EventKind.PROXY, [{"url_original": "school.exampl", "user_name": "anna"}])
    assert frame.filter(expression.exact).is_empty()


def test_a_filter_changes_the_version_of_its_rules_and_of_no_others() -> None:
    other = PLAIN.replace("rule", "other")
    before = {r.id: r.version for r in parse_rules(f"{PLAIN}---\n{other}").rules}
    after = {r.id: r.version for r in parse_rules(f"{PLAIN}---\n{other}---\n{FILTER}").rules}
    assert before["rule"] != after["rule"]
    assert before["other"] == after["other"]


@pytest.mark.parametrize(
    ("change", "place", "says"),
    [
        (("[rule]", "[rul]"), ":13:11", "no rule 'rul'"),
        (("condition: not (ours or 1 of theirs_*)", "x: {User: b}"), ":13:3", "exactly one condition"),
        (("{category: proxy}\nfilter", "{category: dns}\nfilter"), ":11:12", "is not the filter's"),
    ],
)
def test_a_filter_that_is_wrong_is_named(tmp_path: Path, change: tuple[str, str], place: str, says: str) -> None:
    lint = lint_files([_files(tmp_path, rule_yml=f"{PLAIN}---\n{FILTER.replace(*change)}")])
    assert any(e.where.startswith(f"{tmp_path}/rule.yml{place}") and says in e.what for e in lint.errors), [
        *map(str, lint.errors)
    ]


OTHERS: dict[str, Any] = {
    "good_yml": PLAIN + "simulation: [x]\n",
    "sysmon_yml": PLAIN.replace("rule", "sysmon").replace(
        "{category: proxy}", "{product: windows, category: image_load}"
    ),
    "cookie_yml": PLAIN.replace("rule", "cookie").replace("c-uri", "cs-cookie"),
    "list_yml": RULE.replace("rule", "list"),
    "notes_yml": "no: rule",
    "broken_yml": "a: [",
}


def test_of_a_collection_what_cannot_run_is_left_out_and_counted(tmp_path: Path) -> None:
    folder = _files(tmp_path, **OTHERS)
    lint = lint_files([], Beside(collections=(folder,)))
    assert _rows(lint, "url_original", ["shop", "other"]) == ["shop"]
    assert [d.name for d in lint.ruleset.detections] == ["rule"] if lint.ruleset else False
    left_out = " ".join(str(e) for e in lint.left_out)
    assert all(
        word in left_out
        for word in ("'windows/image_load' is none that is collected", "'cs-cookie'", "%pages%", "not YAML")
    )


OF_OTHERS: dict[str, Any] = {
    "many_yml": "title: Many\nname: many\ncorrelation: {type: event_count, rules: [rule], group-by: [NoSuch], "
    "timespan: 1m, condition: {gte: 3}}\n",
    "over_yml": "title: Over\nname: over\ncorrelation: {type: event_count, rules: [many], timespan: 1m, "
    "condition: {gte: 3}}\n",
    "named_yml": PLAIN.replace("name: rule", "name: Some_Name"),
    "filter_yml": FILTER.replace("[rule]", "[gone]"),
}


@pytest.mark.parametrize("name", OF_OTHERS)
def test_nothing_in_a_collection_refuses_the_whole(tmp_path: Path, name: str) -> None:
    folder = _files(tmp_path, rule_yml=PLAIN, **OF_OTHERS)
    lint = lint_files([], Beside(collections=(folder,)))
    assert lint.errors == ()
    assert lint.ruleset is not None
    assert "rule" in {d.name for d in lint.ruleset.detections}
    assert lint.ruleset.rules == (), "what is counted by a rule that cannot run is no violation each time"
    assert sum(e.where.startswith(f"{folder}/{name.replace('_yml', '.yml')}:") for e in lint.left_out) == 1


def test_a_rule_of_ones_own_over_one_that_was_left_out_says_so(tmp_path: Path) -> None:
    mine = _files(tmp_path / "mine", over_yml=OF_OTHERS["over_yml"].replace("name: over", "name: mine"))
    lint = lint_files([mine], Beside(collections=(_files(tmp_path / "theirs", rule_yml=PLAIN, **OF_OTHERS),)))
    assert ["built on a rule of a collection" in e.what for e in lint.errors] == [True]


def test_filters_whose_names_begin_alike_do_not_change_each_other(tmp_path: Path) -> None:
    one = FILTER.replace("known-pages", "f").replace("not (ours or 1 of theirs_*)", "not all of them")
    two = FILTER.replace("known-pages", "f-x").replace("not (ours or 1 of theirs_*)", "not all of ours*")
    three = two.replace("f-x", "f_x").replace("school.example", "other.example")
    lint = lint_files([_files(tmp_path, rule_yml=f"{PLAIN}---\n{one}---\n{two}---\n{three}")])
    urls = ["shop", "shop.school.example", "shop.other.example"]
    assert _rows(lint, "url_original", urls) == ["shop"]
    alone = lint_files([_files(tmp_path, rule_yml=f"{PLAIN}---\n{one}")])
    assert _rows(alone, "url_original", urls) == urls


def test_a_mistake_in_a_filter_is_told_where_the_filter_stands(tmp_path: Path) -> None:
    wrong = FILTER.replace("User: anna", "Usr: anna")
    (error,) = lint_files([_files(tmp_path, rule_yml=PLAIN, filter_yml=wrong)]).errors
    assert error.where == f"{tmp_path}/filter.yml:7:14"
    wrong = FILTER.replace("1 of theirs_*", "1 of their_*")
    (error,) = lint_files([_files(tmp_path, filter_yml=wrong)]).errors
    assert (error.where, "their_*" in error.what) == (f"{tmp_path}/filter.yml:9:14", True)


def test_the_same_rules_among_ones_own_are_mistakes(tmp_path: Path) -> None:
    lint = lint_files([_files(tmp_path, **OTHERS)])
    assert lint.ruleset is None
    assert lint.left_out == ()
    assert len(lint.errors) == 6


def _vendor(logsource: str, selection: str) -> pl.Expr:
    text = RULE.replace("{category: proxy}", logsource).replace("{c-uri|contains|expand: '%pages%'}", selection)
    expression = parse_rules(text).detection("rule").expression
    assert isinstance(expression, Compiled)
    return expression.exact


WINDOWS, ENTRA = "{product: windows, service: security}", "{product: azure, service: signinlogs}"
GOOGLE = "{product: gcp, service: google_workspace.login}"


@pytest.mark.parametrize(
    ("logsource", "selection", "event"),
    [
        (WINDOWS, "{EventID: 4625, LogonType: 3}", {"event_code": "4625", "login_type": "network"}),
        (WINDOWS, "{LogonType: [2, '10']}", {"login_type": "remote_interactive"}),
        (WINDOWS, "{Status: ['0xC000006A']}", {"event_reason": "wrong password"}),
        (WINDOWS, "{SubStatus: '0xc0ffee'}", {"event_reason": "code 0xc0ffee"}),
        (WINDOWS, "{Status: '0x18'}", {"event_reason": "wrong password"}),
        (WINDOWS, "{Status: '0x0'}", {"event_outcome": "success"}),
        (WINDOWS, "{TargetUserName|endswith: $, WorkstationName: pc}", {"user_name": "pc$", "host_name": "PC"}),
        (ENTRA, "{ResultType: 50126, Status: Failure}", {"event_code": "50126", "event_outcome": "failure"}),
        ("{product: okta, service: okta}", "{eventType: user.lock}", {"event_code": "user.lock"}),
        (GOOGLE, "{eventName: logout, protoPayload.serviceName: login.googleapis.com}",
         {"event_code": "logout", "service_name": "google"}),
        ("{category: dns}", "{query|endswith: .example}", {"url_domain": "a.example"}),
    ],
)  # fmt: skip
def test_vendors_fields_and_values_are_ours_in_rules_about_their_logs(
    logsource: str, selection: str, event: dict[str, Any]
) -> None:
    kind = EventKind.PROXY if "dns" in logsource else EventKind.LOGIN
    exact = _vendor(logsource, selection)
    assert frame_of(kind, [event]).filter(exact).height == 1
    for column in event:
        assert frame_of(kind, [event | {column: "other"}]).filter(exact).is_empty()
