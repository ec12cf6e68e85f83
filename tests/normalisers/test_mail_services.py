"""Mail servers and services over whole logs: what one line cannot show."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.registry import make
from tests.normalisers.peers import SAMPLES


def events(type_name: str, *lines: str, settings: NormaliserSettings | None = None) -> list[dict[str, Any]]:
    """Events of some lines, those flushed at the end among them."""
    normaliser = make(type_name, settings or NormaliserSettings(year=2024))
    out = normaliser.normalise(LineChunk([line.encode() for line in lines], range(len(lines))))
    rest = normaliser.finish()
    return out.events.to_dicts() + ([] if rest is None else rest.events.to_dicts())


def recipients(event: dict[str, Any], *columns: str) -> dict[str, Any]:
    """Columns of the recipients by address: the value, or a tuple of several."""
    values = [event[f"email_to_{column}"] for column in columns]
    rows = values[0] if len(values) == 1 else zip(*values, strict=True)
    return dict(zip(event["email_to_address"], rows, strict=True))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples in {SAMPLES}")
def test_every_delivery_that_a_peer_finds_in_its_sendmail_log_is_found() -> None:
    folder = SAMPLES / "mail" / "sendmail" / "yudai09__fluent-plugin-sendmail"
    lines = (folder / "data").read_text(encoding="utf-8").splitlines()
    deliveries = [json.loads(line) for line in (folder / "data.expected.txt").read_text(encoding="utf-8").splitlines()]
    found = events("sendmail", *lines, settings=NormaliserSettings(year=2016))
    last: dict[str, dict[str, Any]] = {to.strip("<>"): said for said in deliveries for to in said["to"]}
    ours: dict[str, Any] = {}
    for event in found:
        assert event["email_from_address"] == deliveries[0]["from"].strip("<>")
        assert event["email_message_id"] == deliveries[0]["msgid"].strip("<>")
        assert (str(event["email_size"]), event["email_recipient_count"]) == (deliveries[0]["size"], 7)
        assert event["source_ip"] == deliveries[0]["relay_from"]["ip"]
        ours |= recipients(event, "status", "dsn", "relay")
    for to, (status, dsn, relay) in ours.items():
        said = last[to]
        assert (status, dsn) == (said["status_canonical"].removesuffix("_local"), said["dsn"])
        assert said.get("relay_to") is None or said["relay_to"]["ip"] in relay
    assert set(ours) == set(last)
