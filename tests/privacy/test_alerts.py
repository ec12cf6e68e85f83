"""What a webhook receives: no name, no body, no password; with names asked for, never a student's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from agents.alerts.routing import Router
from agents.alerts.sending import Alerts
from agents.alerts.webhook import Webhook
from agents.alerts.wording import Wording
from agents.context.district import District
from agents.context.inventory import Inventory
from agents.delivery.notify import NotifyStage
from agents.delivery.stage import Message
from agents.privacy import keys
from agents.privacy.live import LiveNames
from agents.privacy.records import WITHHELD
from schemas.kinds import VIOLATIONS
from schemas.records import encode_record
from tests.privacy.records import SECRETS, violation_of


@dataclass(frozen=True)
class Someone:
    roles: frozenset[str]


@dataclass
class People:
    """A roster in small."""

    by_account: dict[str, Someone] = field(default_factory=dict)

    def person(self, account: str) -> Someone | None:
        return self.by_account.get(account)

    def by_mail(self, address: str) -> Someone | None:
        return self.by_account.get(address.partition("@")[0])


PEOPLE = People({"zoe": Someone(frozenset({"student"})), "kip": Someone(frozenset({"teacher"}))})


@pytest.fixture
def bodies() -> Iterator[tuple[str, list[bytes]]]:
    """A web server, and what it was sent."""
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", got
    server.shutdown()
    thread.join()
    server.server_close()


def _told(bodies: tuple[str, list[bytes]], wording: Wording, key: dict[str, str]) -> dict[str, Any]:
    url, got = bodies
    router = Router(District(), Inventory.none())
    stage = NotifyStage(Alerts([Webhook(url, 5.0)], 1, threading.Event(), wording), router)
    value = encode_record("violation", violation_of(key))
    stage.handle(Message(VIOLATIONS, 0, 0, value, (), b""))
    stage.close()
    for secret in SECRETS:
        assert secret.encode() not in got[-1], "evidence is in the alert"
    told: dict[str, Any] = json.loads(got[-1])
    return told


def _live(folder: Path) -> LiveNames:
    keys.ensure(folder / "keys")
    return LiveNames(folder / "keys", District.of("d", "UTC", ["schools.example"]))


KEY = {
    "user_name": "zoe",
    "email_from_address": "kip@schools.example",
    "source_ip": "10.9.8.7",
    "host_name": "zoes-pad",
}


def test_an_alert_carries_pseudonyms(bodies: tuple[str, list[bytes]], tmp_path: Path) -> None:
    told = _told(bodies, Wording(_live(tmp_path), people=PEOPLE), {**KEY, "source_site": "north"})
    kinds = {column: text.partition("-")[0] for column, text in told["group_key"].items()}
    assert sorted(kinds.values()) == ["address", "device", "mail", "north", "user"]
    assert not [word for word in ("zoe", "kip", "10.9") if word in json.dumps(told)]


def test_with_names_asked_for_staff_is_named_and_a_student_is_not(
    bodies: tuple[str, list[bytes]], tmp_path: Path
) -> None:
    told = _told(bodies, Wording(_live(tmp_path), named=True, people=PEOPLE), KEY)["group_key"]
    assert told["email_from_address"] == "kip@schools.example"
    assert told["source_ip"] == "10.9.8.7"
    assert told["user_name"].startswith("user-")
    assert told["host_name"].startswith("device-"), "devices are often called after their owners"
    assert "zoe" not in json.dumps(told)
    for text, named in (("kip", True), ("zoe", False), ("10.9.8.7", True)):
        told = _told(bodies, Wording(_live(tmp_path), named=True, people=PEOPLE), {"subject": text})["group_key"]
        assert (told["subject"] == text) == named


def test_who_is_not_in_the_roster_may_be_a_student(bodies: tuple[str, list[bytes]], tmp_path: Path) -> None:
    for people in (People(), None):
        told = _told(bodies, Wording(_live(tmp_path), named=True, people=people), KEY)["group_key"]
        assert told["email_from_address"].startswith("mail-")


def test_without_keys_names_are_withheld(bodies: tuple[str, list[bytes]]) -> None:
    told = _told(bodies, Wording(None), {"user_name": "zoe", "source_site": "north"})["group_key"]
    assert told == {"user_name": WITHHELD, "source_site": "north"}
