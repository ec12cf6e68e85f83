"""Derived columns say what a slow reading of each row says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.context.categories import Categories
from agents.context.district import District, Site
from agents.context.inventory import Device, Inventory
from agents.context.roster import Roster
from agents.engine.enrich import Enricher
from agents.engine.jsoncolumns import json_objects
from agents.rules.examples import frame_of
from agents.rules.model import VALUE_SEPARATOR
from schemas.kinds import EventKind

DISTRICT = District.of(
    "Example",
    "America/Denver",
    ["school.example"],
    [Site("north", ("10.1.0.0/16",), ("nh-*",)), Site("south", ("10.2.0.0/16",), ("sh-*",))],
)
INVENTORY = Inventory.of([Device("3c:52:82:00:00:01", "anna", "laptop"), Device("3c:52:82:00:00:02", "", "shared")])
ENRICHER = Enricher(DISTRICT, INVENTORY)

ADDRESSES = st.sampled_from(
    ["a@school.example", "A@School.example", "b@north.school.example", "c@elsewhere.example", "root", "",
     "d@notschool.example"]
)  # fmt: skip
MAILS = st.lists(
    st.fixed_dictionaries(
        {
            "event_id": st.integers(0, 9).map(str),
            "email_message_id": st.none() | st.sampled_from(["", "m1", "m2"]),
            "email_local_id": st.none() | st.sampled_from(["Q1", "Q2"]),
            "observer_hostname": st.none() | st.just("mx"),
            "email_from_address": st.none() | ADDRESSES,
            "to": st.lists(
                st.tuples(ADDRESSES, st.sampled_from(["sent", "deferred", "bounced"]), st.booleans()), max_size=5
            ),
        }
    ),
    max_size=6,
)


def _mail(row: dict[str, Any]) -> dict[str, Any]:
    plain = {k: v for k, v in row.items() if k != "to"}
    lists = zip(*row["to"], strict=True) if row["to"] else ((), (), ())
    names = ("email_to_address", "email_to_status", "email_to_filter")
    return plain | {name: list(values) for name, values in zip(names, lists, strict=True)}


def _slow_values(row: dict[str, Any]) -> list[str]:
    host, sender, queue = row["observer_hostname"] or "", row["email_from_address"] or "", row["email_local_id"]
    key = row["email_message_id"] or (f"{host} {queue} {sender}" if queue else row["event_id"])
    values = []
    for address, status, is_filter in row["to"]:
        lowered = address.lower()
        if status != "sent" or is_filter or not lowered:
            continue
        side = "internal" if DISTRICT.is_internal_address(lowered) else "outside"
        value = VALUE_SEPARATOR.join((side, key, lowered))
        if value not in values:
            values.append(value)
    return values


@given(MAILS)
def test_recipients_of_a_frame_equal_those_of_each_row_by_itself(mails: list[dict[str, Any]]) -> None:
    frame = frame_of(EventKind.MAIL, [_mail(m) for m in mails])
    names = ["sender_internal", "delivered_recipients", "recipients_internal", "recipients_outside"]
    got = ENRICHER.add(frame, EventKind.MAIL, names).select(names).rows()
    expected = []
    for mail in mails:
        values = _slow_values(mail)
        inside = sum(v.startswith("internal") for v in values)
        ours = DISTRICT.is_internal_address(mail["email_from_address"] or "")
        expected.append((ours, values, inside, len(values) - inside))
    assert got == expected


def test_lists_of_unequal_length_do_not_stop_a_batch() -> None:
    row = {"event_id": "e", "email_to_address": ["a@x.example", "b@x.example"], "email_to_status": ["sent"]}
    frame = frame_of(EventKind.MAIL, [row | {"email_to_filter": [], "email_message_id": "m"}])
    got = ENRICHER.add(frame, EventKind.MAIL, ["delivered_recipients"])["delivered_recipients"].to_list()
    assert got == [[VALUE_SEPARATOR.join(("outside", "m", "a@x.example"))]]


def test_a_separator_in_an_address_or_message_id_cannot_shift_the_parts_of_a_value() -> None:
    row = {"event_id": "e", "email_to_address": ["in\x1fternal@x.example"], "email_to_status": ["sent"]}
    frame = frame_of(EventKind.MAIL, [row | {"email_to_filter": [False], "email_message_id": "m\x1fn"}])
    (value,) = ENRICHER.add(frame, EventKind.MAIL, ["delivered_recipients"])["delivered_recipients"].to_list()[0]
    assert value.split(VALUE_SEPARATOR) == ["outside", "mn", "internal@x.example"]


@pytest.mark.parametrize(
    ("login", "site"),
    [
        ({"access_point": "NH-7"}, "north"),
        ({"access_point": "NH-7", "source_ip": "10.2.0.1"}, "north"),
        ({"source_ip": "10.2.0.1"}, "south"),
        ({"source_ip": "::ffff:10.2.0.1"}, "south"),
        ({"nas_ip": "10.1.0.1"}, "north"),
        ({"access_point": "other", "nas_ip": "10.1.0.1"}, None),
        ({"access_point": "other", "source_ip": "10.2.0.1", "nas_ip": "10.1.0.1"}, "south"),
        ({"source_ip": "198.51.100.1"}, None),
        ({}, None),
    ],
)
def test_the_site_of_a_login(login: dict[str, str], site: str | None) -> None:
    frame = frame_of(EventKind.LOGIN, [login])
    assert ENRICHER.add(frame, EventKind.LOGIN, ["source_site"])["source_site"].to_list() == [site]


@pytest.mark.parametrize(
    ("login", "site"),
    [
        ({"source_ip": "10.1.200.7"}, None),
        ({"nas_ip": "10.1.200.7"}, None),
        ({"source_ip": "10.1.200.7", "nas_ip": "10.1.0.1"}, None),
        ({"source_ip": "10.1.0.7", "nas_ip": "10.1.200.7"}, None),
        ({"access_point": "NH-7", "source_ip": "10.1.200.7"}, "north"),
        ({"source_ip": "10.1.0.7"}, "north"),
    ],
)
def test_a_shared_address_does_not_tell_where_somebody_logged_in(login: dict[str, str], site: str | None) -> None:
    enricher = Enricher(replace(DISTRICT, shared_networks=("10.1.200.0/24",)), INVENTORY)
    frame = frame_of(EventKind.LOGIN, [login])
    assert enricher.add(frame, EventKind.LOGIN, ["source_site"])["source_site"].to_list() == [site]


def test_an_access_server_tells_the_site_where_no_access_points_are_configured() -> None:
    district = District.of("Example", "UTC", [], [Site("north", ("10.1.0.0/16",))])
    frame = frame_of(EventKind.LOGIN, [{"access_point": "ap-1", "nas_ip": "10.1.0.1"}])
    assert Enricher(district, INVENTORY).add(frame, EventKind.LOGIN, ["source_site"])["source_site"].to_list() == [
        "north"
    ]


def test_a_relay_tells_the_site_of_a_device_without_an_address() -> None:
    frame = frame_of(
        EventKind.DHCP, [{"dhcp_relay_ip": "10.1.0.1"}, {"source_ip": "10.2.0.9", "dhcp_relay_ip": "10.1.0.1"}]
    )
    assert ENRICHER.add(frame, EventKind.DHCP, ["source_site"])["source_site"].to_list() == ["north", "south"]


def test_a_name_is_known_where_one_device_of_the_inventory_has_it() -> None:
    twins = [Device(f"3c:52:82:00:00:1{i}", host="twin") for i in range(2)]
    inventory = Inventory.of([Device("3c:52:82:00:00:01", host="north-7"), *twins])
    frame = frame_of(EventKind.DHCP, [{"host_name": n} for n in ("NORTH-7.school.example", "twin", "own", None)])
    added = Enricher(DISTRICT, inventory).add(frame, EventKind.DHCP, ["host_name_known"])
    assert added["host_name_known"].to_list() == [True, False, False, None]


def test_what_the_inventory_says_of_a_device() -> None:
    macs = ["3c:52:82:00:00:01", "3c:52:82:00:00:02", "da:a1:19:00:00:03", None]
    names = ["source_mac_known", "source_device_kind", "source_device_owner", "source_mac_random"]
    frame = ENRICHER.add(frame_of(EventKind.DHCP, [{"source_mac": m} for m in macs]), EventKind.DHCP, names)
    assert frame.select(names).rows() == [
        (True, "laptop", "anna", False), (True, "shared", None, False), (False, None, None, True), (None,) * 4,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "realm", "key"),
    [
        ("Anna", None, "anna"),
        ("DISTRICT\\Anna", None, "anna"),
        ("DISTRICT\\\\Anna", None, "anna"),
        ("j\\xf6rg", None, "j\\xf6rg"),
        ("anna@school.example", None, "anna"),
        ("anna@north.school.example", None, "anna"),
        ("anna", "school.example", "anna"),
        ("anna", "DISTRICT", "anna"),
        ("anna", "college.example", "anna@college.example"),
        ("anna@college.example", None, "anna@college.example"),
        ("anna@college.example", "college.example", "anna@college.example"),
        ("(masked)", None, None),
        ("", None, None),
        (None, "school.example", None),
    ],
)
def test_an_account_has_one_spelling_and_a_guest_stays_a_guest(
    name: str | None, realm: str | None, key: str | None
) -> None:
    frame = frame_of(EventKind.LOGIN, [{"user_name": name, "user_domain": realm}])
    assert frame.select(ENRICHER.key("user_name", frame.columns)).to_series().to_list() == [key]


TEXTS = st.none() | st.text(st.sampled_from('ab"\\/é\x00\x1f\n\x7f '), max_size=4)


@given(st.lists(st.tuples(TEXTS, TEXTS, st.none() | st.integers(-9, 9), st.none() | st.booleans()), max_size=6))
def test_json_of_columns_is_the_json_of_each_row(rows: list[tuple[Any, ...]]) -> None:
    schema = {"_b": pl.String, "a": pl.String, "n": pl.Int64, "t": pl.Boolean}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    names = {"b": "_b", "a": "a", "n": "n", "t": "t"}
    expected = []
    for row in rows:
        values = dict(zip(names, row, strict=True))
        kept = {k: v for k, v in values.items() if v is not None}
        expected.append(json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    assert json_objects(frame, names).to_list() == expected


def test_a_message_that_took_an_hour_counts_for_itself_and_for_no_hour() -> None:
    end = datetime(2026, 3, 2, 12, tzinfo=UTC)
    row = _mail({"event_id": "e", "to": [("a@school.example", "sent", False), ("b@elsewhere.example", "sent", False)]})
    rows = [row | {"timestamp": end, "timestamp_first": end - timedelta(minutes=m)} for m in (59, 60)]
    frame = frame_of(EventKind.MAIL, [*rows, row | {"timestamp": end, "timestamp_first": None}])
    found = ENRICHER.add(frame, EventKind.MAIL, ["delivered_recipients", "recipients_outside"])
    classes = [sorted(v.partition("\x1f")[0] for v in values) for values in found["delivered_recipients"].to_list()]
    assert classes == [["internal", "outside"], ["slow", "slow"], ["internal", "outside"]]
    assert found["recipients_outside"].to_list() == [1, 1, 1]


def test_a_maker_stands_in_the_register_unless_the_address_was_made_up() -> None:
    macs = ["00:0a:eb:00:00:01", "02:0a:eb:00:00:01", "00:00:5e:00:53:01", None, "00:0a:eb:ff:ff:ff"]
    frame = frame_of(EventKind.DHCP, [{"source_mac": mac} for mac in macs])
    made = ENRICHER.add(frame, EventKind.DHCP, ["source_mac_vendor"])["source_mac_vendor"].to_list()
    maker = "TP-LINK TECHNOLOGIES CO.,LTD."
    assert made == [maker, None, "ICANN, IANA Department", None, maker]


def test_a_dhcp_server_is_known_where_the_district_names_it() -> None:
    servers = ["10.1.0.2", "10.2.0.9", "192.168.1.1", None, "fd00::1"]
    frame = frame_of(EventKind.DHCP, [{"dhcp_server_ip": server} for server in servers])
    column = "dhcp_server_known"
    district = District().knowing(Roster(), dhcp_servers=["10.1.0.2", "10.2.0.0/24", "fd00::/64"])
    known = Enricher(district, Inventory.none()).add(frame, EventKind.DHCP, [column])[column].to_list()
    assert known == [True, True, False, None, True]
    assert ENRICHER.add(frame, EventKind.DHCP, [column])[column].to_list() == [None] * 5


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("s1.hide.example", "hide.example"),
        ("hide.example", "hide.example"),
        ("A.Hide.co.uk", "hide.co.uk"),
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("localhost", "localhost"),
    ],
)
def test_a_denied_tunnel_is_a_visit_to_the_domain_that_somebody_registered(host: str, domain: str) -> None:
    asked = {"http_request_method": "CONNECT", "url_domain": host, "event_action": "denied", "event_id": "e"}
    frame = ENRICHER.add(frame_of(EventKind.PROXY, [asked]), EventKind.PROXY, ["visit"])
    assert frame["visit"].to_list() == [domain]


def _rows_of_pages(column: str, *rows: Mapping[str, object]) -> list[object]:
    at = datetime(2026, 3, 2, 16, tzinfo=UTC)
    frame = [{"event_id": f"e{i}", "timestamp": at + timedelta(minutes=i), **row} for i, row in enumerate(rows)]
    return ENRICHER.add(frame_of(EventKind.PROXY, frame), EventKind.PROXY, [column])[column].to_list()


def test_what_is_denied_and_asked_for_again_is_one_page_with_whatever_query() -> None:
    asked = [
        {"http_request_method": "GET", "url_original": f"http://a.example/x?n={i}#{i}", "event_action": "denied"}
        for i in range(2)
    ]
    assert _rows_of_pages("page_view", *asked) == ["http://a.example/x"] * 2
    assert _rows_of_pages("visit", *asked) == ["http://a.example/x"] * 2
    tunnel = {"http_request_method": "CONNECT", "url_domain": "s.a.example", "event_action": "denied"}
    assert _rows_of_pages("page_view", tunnel, tunnel) == ["a.example"] * 2


@pytest.mark.parametrize(("status", "page"), [(200, True), (204, False), (301, False), (302, False), (304, True),
                                              (307, False), (404, False)])  # fmt: skip
def test_a_redirect_is_no_page_and_what_the_browser_has_already_is_one(status: int, page: bool) -> None:
    asked = {"http_request_method": "GET", "url_domain": "a.example", "http_response_status_code": status}
    assert _rows_of_pages("navigation", asked) == [page]
    assert _rows_of_pages("navigation", asked | {"event_action": "denied"}) == [True]


@pytest.mark.parametrize(
    ("status", "size", "action", "kind"),
    [
        (200, 20_000, "allowed", "executable"), (200, None, "allowed", "executable"), (206, 20_000, None, "executable"),
        (200, 19_999, "allowed", None), (404, 900_000, "allowed", None), (200, 900_000, "denied", None),
        (None, 100_000, "allowed", "executable"), (None, 99_999, "allowed", None), (None, 0, "allowed", None),
        (None, None, "allowed", None), (None, 900_000, "denied", None),
    ],
)  # fmt: skip
def test_without_a_status_only_its_size_says_that_a_file_was_loaded(
    status: int | None, size: int | None, action: str | None, kind: str | None
) -> None:
    asked = {"url_extension": "exe", "http_response_status_code": status, "http_response_bytes": size}
    assert _rows_of_pages("download_kind", asked | {"event_action": action}) == [kind]


@pytest.mark.parametrize(
    ("path", "size", "page"),
    [
        ("/collect/1234", 0, True), ("/collect/1234", None, True), ("/events/fair/", 0, True),
        ("/collect/1234", 400, False), ("/collect/1234", 5000, True),
        ("/collect", 0, False), ("/collect/", None, False), ("/console/poll/7", 0, False), ("/events/a.gif", 0, False),
    ],
)  # fmt: skip
def test_where_no_size_is_known_a_path_is_a_page_that_has_a_name_below_what_beacons_are_called(
    path: str, size: int | None, page: bool
) -> None:
    asked = {"http_request_method": "GET", "url_domain": "a.example", "url_path": path, "http_response_bytes": size}
    assert _rows_of_pages("navigation", asked) == [page]


def test_what_a_firewall_logs_without_a_method_is_a_visit_to_a_domain_at_a_time_or_to_a_page() -> None:
    name = {"url_domain": "eu1.pool.example", "url_path": "/"}
    visits = _rows_of_pages("visit", name, name | {"event_action": "denied"}, name | {"url_query": "a=1"})
    second = int(datetime(2026, 3, 2, 16, tzinfo=UTC).timestamp())
    assert visits == [f"pool.example\x1f{second}", "pool.example", f"eu1.pool.example/\x1f{second + 120}"]
    assert _rows_of_pages("page_view", name) == ["e0"]


def test_a_tunnel_counts_alike_whether_a_proxy_or_a_firewall_tells_of_it() -> None:
    proxy = {"http_request_method": "CONNECT", "url_original": "www.a.example:443", "url_domain": "www.a.example"}
    firewall = {"url_original": "https://www.a.example/", "url_domain": "www.a.example", "url_path": "/"}
    page = {"http_request_method": "GET", "url_original": "http://www.a.example/", "url_domain": "www.a.example"}
    second = int(datetime(2026, 3, 2, 16, tzinfo=UTC).timestamp())
    for column, place in (("visit", "a.example"), ("page_view", ""), ("active_minute", "a.example")):
        for tunnel in (proxy, firewall):
            assert _rows_of_pages(column, tunnel) == [f"{place}\x1f{second}"]
    assert _rows_of_pages("active_minute", page) == [str(second // 60)]
    listed = Categories.of({"selling": ["a.example/", "b.example/mine"]})
    known = Enricher(District(categories=listed), Inventory.none())
    for host, categories in (("www.a.example", ["selling"]), ("b.example", [])):
        frame = frame_of(EventKind.PROXY, [tunnel | {"url_domain": host} for tunnel in (proxy, firewall)])
        assert known.add(frame, EventKind.PROXY, ["url_categories"])["url_categories"].to_list() == [categories] * 2


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        ("Re: x", True), ("RE: RE: x", True), ("re[2]: x", True), ("Re (3): x", True), ("Re^4: x", True),
        ("Re : x", True), ("RE\u00a0: x", True), ("\u00a0AW: x", True), ("Antwort: x", True), ("Antw: x", True),
        ("SV: x", True), ("RÉP : x", True), ("回复\uff1ax", True), ("[EXTERNAL] Re: x", True),
        ("[Staff-List] Re: x", True),
        ("[a] {Spam?} RE: x", True), ("EXT: Re: x", True), ("**External** Re: x", True), ("Re: Fwd: x", True),
        ("Fwd: Re: x", False), ("FW: x", False), ("WG: AW: x", False), ("TR: x", False), ("RV: x", False),
        ("[Fwd: Re: x]", False), ("[EXTERNAL] Fwd: Re: x", False), ("Report: x", False), ("Re x", False),
        ("Regarding: x", False), ("About Re: x", False), ("", False), (None, None),
    ],
)  # fmt: skip
def test_an_answer_is_known_by_how_its_subject_begins(subject: str | None, answer: bool | None) -> None:
    frame = frame_of(EventKind.MAIL, [{"event_id": "e", "email_subject": subject}])
    assert ENRICHER.add(frame, EventKind.MAIL, ["email_reply"])["email_reply"].to_list() == [answer]
