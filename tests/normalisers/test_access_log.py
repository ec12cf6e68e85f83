"""Access logs: formats of a site's own, and the quick form against the plain one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigError
from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.proxy.web_formats import BUILT_IN, apache_format, web_format
from streams.normalisers.registry import make


@pytest.mark.parametrize(
    ("log_format", "message"),
    [
        ("%h %t %Z", r"'%Z' is no code of Apache's LogFormat at column 7"),
        ("%h %t 5%", r"'%' is no code of Apache's LogFormat at column 8"),
        ("%h %t %^xy", r"'%\^xy' is no code of Apache's LogFormat at column 7"),
        ("%h%m %t", r"%h and %m stand side by side at column 3"),
        ("%h %r", r"the log format has no whole time"),
        ("%h %{%H:%M}t", r"the log format has no whole time"),
        ("%h %{%Q}t", r"'%Q' in '%\{%Q\}t' tells no time at column 6"),
        ("$remote_addr $status", r"the log format has no whole time"),
        ("$msec $remote_addr$status", r"\$remote_addr and \$status stand side by side at column 19"),
        ("mine", r"there is no log format 'mine' \(known are: common, combined"),
        ("", r"log_format is not a text"),
    ],
)
def test_a_mistake_is_refused_with_its_code_and_column(log_format: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        web_format(log_format)


@pytest.mark.parametrize("name", ["common", "combined", "vhost_common", "vhost_combined", "combinedio"])
def test_a_format_known_by_name_is_one(name: str) -> None:
    assert web_format(name).template.captures == apache_format(BUILT_IN[name]).template.captures


def test_a_line_of_httpd_conf_is_its_format() -> None:
    line = 'LogFormat "%h %l %u %t \\"%r\\" %>s %b" common'
    assert web_format(line).template.captures == apache_format(BUILT_IN["common"]).template.captures


WORD = st.text(st.characters(blacklist_categories=["C", "Z"], blacklist_characters='"\\'), min_size=1, max_size=10)
TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=15)


@given(lines=st.lists(st.tuples(WORD, st.sampled_from(["GET", "get", "M-SEARCH", "1X"]), WORD, TEXT, TEXT), max_size=8))
def test_the_quick_form_equals_the_plain_one(lines: list[tuple[str, str, str, str, str]]) -> None:
    made = [
        f'10.1.1.1 - {user} [01/Mar/2024:08:00:00 -0500] "{verb} /{path} HTTP/1.1" 200 5 "{sent}" "{agent}"'.encode()
        for user, verb, path, sent, agent in lines
    ]
    made.append(b"no line")
    chunk = LineChunk(made, list(range(len(made))))
    both, plain = (make("access_log", NormaliserSettings(options={"log_format": "combined"})) for _ in range(2))
    plain._formats = [one._replace(quick=None) for one in plain._formats]  # type: ignore[attr-defined]
    first, second = both.normalise(chunk), plain.normalise(chunk)
    assert first.events.equals(second.events)
    assert [reject.line for reject in first.rejects] == [reject.line for reject in second.rejects]


@given(url=TEXT, agent=st.text(st.characters(blacklist_categories=["C"]), max_size=40))
def test_what_a_client_chose_forges_nothing_around_it(url: str, agent: str) -> None:
    sent = agent.replace("\\", "\\\\").replace('"', '\\"')
    line = f'10.1.1.1 - jdoe [01/Mar/2024:08:00:00 -0500] "GET /{url} HTTP/1.1" 404 5 "-" "{sent}"'.encode()
    row = make("access_log", NormaliserSettings()).normalise(LineChunk([line], [0])).events.to_dicts()[0]
    assert (row["source_ip"], row["user_name"], row["http_response_status_code"]) == ("10.1.1.1", "jdoe", 404)
