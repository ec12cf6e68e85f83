"""Known vulnerabilities of what is pinned; and the check itself, against answers in the documented form.

The service is a host of its own, no package registry. Where it cannot be reached the check is skipped and says so;
`AUPSTREAM_ADVISORIES_REQUIRED=1` makes that a failure, and `AUPSTREAM_ADVISORIES` names another service of the form.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from infra.embedded.ports import LOOPBACK, free_ports
from tests.project.advisories import (
    ACCEPTED_FILE,
    SERVICE,
    Acceptance,
    Osv,
    Pin,
    UnreachableError,
    accepted,
    faults,
    open_advisories,
    pins,
)

TODAY = datetime.now(UTC).date()
OLD, NEW, JAR = Pin("PyPI", "jinja2", "2.4.1"), Pin("PyPI", "polars", "2.1.0"), Pin("Maven", "org.x:y", "1.0")
GHSA, PYSEC, GONE = "GHSA-462w-v97r-4m45", "PYSEC-2019-217", "PYSEC-0000-1"
# As in the documentation's samples of the two answers.
TEXTS = {
    GHSA: {
        "id": GHSA, "summary": "Jinja2 sandbox escape via string formatting", "aliases": ["CVE-2019-10906", PYSEC],
        "modified": "2024-09-24T21:05:01Z", "published": "2019-04-10T14:30:24Z", "schema_version": "1.6.0",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": "Jinja2", "purl": "pkg:pypi/jinja2"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.10.1"}]}],
            }
        ],
    },
    PYSEC: {"id": PYSEC, "details": "In Pallets Jinja before 2.10.1, …", "aliases": ["CVE-2019-10906", GHSA]},
    GONE: {"id": GONE, "details": "A mistake.", "withdrawn": "2021-01-01T00:00:00Z"},
}  # fmt: skip


@contextmanager
def _service(
    known: dict[str, list[str]], *, status: int = 200, page: int = 10, drop: int = 0
) -> Iterator[tuple[str, list[str]]]:
    """A service that knows these ids by package name; its address, and what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            self._answer({"results": [self._result(query) for query in queries][drop:]})

        def do_GET(self) -> None:
            self._answer(TEXTS[self.path.rpartition("/")[2]])

        def _result(self, query: dict[str, Any]) -> dict[str, Any]:
            ids, begin = known.get(query["package"]["name"], []), int(query.get("page_token", 0))
            vulns = [{"id": each, "modified": "2024-09-24T21:05:01Z"} for each in ids[begin : begin + page]]
            more = {"next_page_token": str(begin + page)} if begin + page < len(ids) else {}
            return ({"vulns": vulns} if vulns else {}) | more

        def _answer(self, body: object) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_nothing_that_is_pinned_has_a_known_vulnerability_that_nobody_has_accepted() -> None:
    service = os.environ.get("AUPSTREAM_ADVISORIES") or SERVICE
    try:
        found = Osv(service).advisories(pins())
    except UnreachableError as error:
        if os.environ.get("AUPSTREAM_ADVISORIES_REQUIRED"):
            raise
        pytest.skip(f"vulnerabilities of {len(pins())} pins are NOT CHECKED: {error}")
    left = open_advisories(found, accepted(ACCEPTED_FILE.read_text("utf-8")))
    assert not left, "upgrade, or accept in tests/project/advisories.toml:\n" + "\n".join(map(str, left))


def test_what_was_accepted_has_a_reason_and_has_not_expired() -> None:
    wrong = faults(accepted(ACCEPTED_FILE.read_text("utf-8")), pins(), TODAY)
    assert not wrong, "\n".join(wrong)


def test_every_line_of_both_locks_and_every_jar_is_asked_for() -> None:
    asked = pins()
    assert {pin.ecosystem for pin in asked} == {"PyPI", "Maven"}
    assert len(asked) > 160
    assert {"colorama", "pytest", "polars", "org.apache.kafka:kafka-clients"} <= {pin.name for pin in asked}


def test_a_vulnerable_version_is_named_with_what_mends_it_once_for_all_its_ids() -> None:
    with _service({"jinja2": [GHSA, PYSEC, GONE]}) as (address, _):
        (found,) = Osv(address).advisories([OLD, NEW, JAR])
    assert (found.pin, found.fixed) == (OLD, ("2.10.1",))
    assert "jinja2 2.4.1: GHSA-462w-v97r-4m45 (CVE-2019-10906, PYSEC-2019-217)" in str(found)
    assert "mended in 2.10.1" in str(found)


def test_clean_versions_are_one_request() -> None:
    with _service({}) as (address, asked):
        assert Osv(address).advisories([NEW, JAR]) == []
    assert asked == ["/v1/querybatch"]


def test_an_answer_in_pages_is_read_to_its_end() -> None:
    with _service({"jinja2": [GONE, GHSA]}, page=1) as (address, _):
        assert [found.id for found in Osv(address).advisories([NEW, OLD])] == [GHSA]


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_service_that_cannot_answer_now_is_no_clean_result(status: int) -> None:
    with _service({}, status=status) as (address, _), pytest.raises(UnreachableError, match=str(status)):
        Osv(address).advisories([NEW])


def test_a_service_that_is_not_there_is_no_clean_result() -> None:
    (port,) = free_ports(1)
    with pytest.raises(UnreachableError, match="does not answer"):
        Osv(f"http://{LOOPBACK}:{port}").advisories([NEW])


def test_an_answer_of_another_form_is_no_clean_result() -> None:
    with _service({}, drop=1) as (address, _), pytest.raises(ValueError, match="one result for each of 2"):
        Osv(address).advisories([NEW, OLD])
    with _service({}, status=404) as (address, _), pytest.raises(ValueError, match="answers 404"):
        Osv(address).advisories([NEW])


def _acceptance(**other: Any) -> Acceptance:
    plain: dict[str, Any] = {
        "id": "CVE-2019-10906", "package": "jinja2", "why": "No template of ours is anybody else's.",
        "accepted": date(2026, 1, 1), "until": date(2026, 6, 1),
    }  # fmt: skip
    return Acceptance(**plain | other)


def test_an_acceptance_holds_for_any_id_of_the_advisory_and_for_its_package_alone() -> None:
    with _service({"jinja2": [GHSA]}) as (address, _):
        found = Osv(address).advisories([OLD])
    assert open_advisories(found, [_acceptance()]) == []
    assert open_advisories(found, [_acceptance(package="polars")]) == found
    assert open_advisories(found, [_acceptance(id="CVE-2019-1")]) == found


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"until": date(2026, 2, 28)}, "has expired"),
        ({"accepted": date(2026, 3, 2)}, "of a day to come"),
        ({"until": date(2027, 3, 1)}, "longer than 366 days"),
        ({"package": "gone"}, "not pinned any more"),
        ({"why": "fine"}, "no reason"),
    ],
)
def test_a_wrong_acceptance_is_named(other: dict[str, Any], what: str) -> None:
    today = date(2026, 3, 1)
    assert faults([_acceptance()], [OLD], today) == []
    (fault,) = faults([_acceptance(**other)], [OLD], today)
    assert what in fault


def test_an_acceptance_fails_on_the_day_after_its_last_and_not_before() -> None:
    until = _acceptance().until
    assert faults([_acceptance()], [OLD], until) == []
    assert faults([_acceptance()], [OLD], until + timedelta(days=1))


def test_a_key_that_is_missing_or_unknown_is_refused() -> None:
    with pytest.raises(TypeError, match="until"):
        accepted('[[accepted]]\nid = "CVE-1"\npackage = "x"\nwhy = "y"\naccepted = 2026-01-01\n')
