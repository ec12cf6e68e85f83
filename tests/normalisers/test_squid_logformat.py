"""A `logformat` of a site's own: what is understood, and what is refused with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigError
from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.addresses import account
from streams.normalisers.proxy.squid_logformat import BUILT_IN, squid_format
from streams.normalisers.registry import make
from tests.normalisers.golden_files import in_chunks, lines_of

NATIVE = "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt"


@pytest.mark.parametrize(
    ("logformat", "message"),
    [
        ("%ts %>a %zz %ru", r"'%zz' is no format code of Squid at column 9"),
        ("%ts %>a%ru", r"%>a and %ru stand side by side at column 8"),
        ("%>a %ru", r"the logformat has no time \(add"),
        ("%{%H:%M}tl %ru", r"time lacks its date or its time of day"),
        ("%{%Y %Q}tl %ru", r"'%Q' in '%{%Y %Q}tl' tells no time at column 6"),
        ("%ts %{User-Agent>h", r"the argument of '%\{' has no closing brace at column 6"),
        ("%ts %{}>h", r"'%\{\}>h' names no header at column 5"),
        ("%ts %byte{0}", r"%byte needs a number from 1 to 255 in braces at column 5"),
        ("%ts %byte{10}", r"a line break at column 5"),
        ("%ts %", r"'%' is no format code of Squid at column 5"),
        ("squids", r"no built-in logformat 'squids' \(known are: squid, common"),
        ("", r"logformat is not a text"),
        (5, r"logformat is not a text"),
    ],
)
def test_a_mistake_is_refused_with_its_code_and_column(logformat: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        squid_format(logformat)


def test_all_of_a_line_of_squid_conf_will_do() -> None:
    line = "logformat mine %ts.%03tu \\\n    %>a %ru"
    assert squid_format(line).template.captures == ("t_seconds", "t_fraction", "client", "url")


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_format_is_one_that_can_be_written(name: str) -> None:
    assert squid_format(name).template.captures == squid_format(BUILT_IN[name]).template.captures


def test_codes_of_every_namespace_are_known() -> None:
    codes = "%icap::tt %adapt::sum_trs %{x}adapt::<last_h %tls::bump_mode %ssl::<cert_errors %proxy_protocol::>h{224}"
    assert squid_format(f"%ts {codes} %transport::>connection_id %http::>rm").template.captures == (
        "t_seconds",
        "method",
    )


def test_the_native_format_as_an_option_reads_what_the_native_form_reads() -> None:
    lines = [
        line for line in lines_of("squid") if line[:3] == b"170" and b"broken" not in line and b"extra" not in line
    ]
    own = make("squid", NormaliserSettings(options={"logformat": NATIVE}))
    plain = make("squid", NormaliserSettings())
    whole = [line for line in lines if b".5 " not in line[:15]]  # a fraction of one digit is no %03tu
    assert in_chunks(own, whole, 100) == in_chunks(plain, whole, 100)


@given(
    user=st.text(st.characters(blacklist_categories=["C", "Z"]), min_size=1, max_size=8).filter(lambda t: t != "-"),
    url=st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=20),
)
def test_a_url_forges_nothing_around_it(user: str, url: str) -> None:
    line = f"1709287200.125 10.1.1.1 {user} GET http://x/{url} 200 TCP_MISS/HIER_DIRECT".encode()
    logformat = "%ts.%03tu %>a %un %rm %ru %>Hs %Ss/%Sh"
    out = make("squid", NormaliserSettings(options={"logformat": logformat})).normalise(LineChunk([line], [0]))
    row = out.events.to_dicts()[0]
    assert (row["user_name"], row["user_domain"]) == account(user)
    assert (row["http_response_status_code"], row["proxy_result"]) == (200, "TCP_MISS")
