"""Known vulnerabilities of what is pinned: Python packages of both locks and Kafka's jars, asked for at an OSV service.

One request says which advisories there are for all pins, one more for each advisory what it says. The forms are
documented at https://google.github.io/osv.dev/post-v1-querybatch/ and https://ossf.github.io/osv-schema/. An advisory
that does not touch us is accepted in `advisories.toml`, with a reason and until a day.
"""

from __future__ import annotations

import re
import ssl
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import truststore
from packaging.utils import canonicalize_name

from infra.embedded.jars import read_lock
from tests.project.tree import ROOT

SERVICE = "https://api.osv.dev"
ACCEPTED_FILE = Path(__file__).with_name("advisories.toml")
LOCKS = ("requirements.lock", "requirements-dev.lock")
MAX_PAGES = 20
LONGEST_DAYS = 366  # an acceptance is looked at again at least once a year
# What a proxy or a busy service answers: nothing is known then. Anything else but 200 says that we ask wrongly.
_NOT_NOW = frozenset({401, 403, 407, 408, 429, 500, 502, 503, 504})


class UnreachableError(Exception):
    """No service answers: whether there are vulnerabilities is not known."""


@dataclass(frozen=True, order=True, slots=True)
class Pin:
    """One version of one package; `ecosystem` is `PyPI` or `Maven`, whose names are `group:artifact`."""

    ecosystem: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Advisory:
    """What a service says of a pin; `names` are all ids it goes by."""

    pin: Pin
    id: str
    names: frozenset[str]
    summary: str
    fixed: tuple[str, ...]

    def __str__(self) -> str:
        also = ", ".join(sorted(self.names - {self.id}))
        mended = f"mended in {', '.join(self.fixed)}" if self.fixed else "not mended yet"
        return f"{self.pin.name} {self.pin.version}: {self.id} ({also}): {self.summary}; {mended}"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An advisory that is known and does not touch us."""

    id: str
    package: str
    why: str
    accepted: date
    until: date


def pins() -> list[Pin]:
    """All that is pinned, whatever the platform."""
    found = {
        Pin("PyPI", canonicalize_name(name), version)
        for lock in LOCKS
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text("utf-8"), re.MULTILINE)
    }
    for jar in read_lock():
        group, artifact, version = jar.coordinate.split(":")
        found.add(Pin("Maven", f"{group}:{artifact}", version))
    return sorted(found)


def accepted(text: str) -> list[Acceptance]:
    """Entries of `advisories.toml`. Raises `TypeError` where a key is missing or unknown."""
    return [Acceptance(**entry) for entry in tomllib.loads(text).get("accepted", [])]


def faults(entries: Iterable[Acceptance], pinned: Iterable[Pin], today: date) -> list[str]:
    """What is wrong with the acceptances themselves."""
    names = {pin.name for pin in pinned}
    found = []
    for entry in entries:
        checks = {
            "has expired: upgrade, or look at it again and say until when": entry.until < today,
            "is of a day to come": entry.accepted > today,
            f"is for longer than {LONGEST_DAYS} days": (entry.until - entry.accepted).days > LONGEST_DAYS,
            "is of a package that is not pinned any more": entry.package not in names,
            "says no reason": len(entry.why.split()) < 5,
        }
        found += [f"{entry.id} ({entry.package}) {what}" for what, wrong in checks.items() if wrong]
    return found


def open_advisories(advisories: Iterable[Advisory], entries: Sequence[Acceptance]) -> list[Advisory]:
    """Those that nobody has accepted, by any of their ids, for their package."""
    known = {(entry.package, entry.id) for entry in entries}
    return [a for a in advisories if not any((a.pin.name, name) in known for name in a.names)]


class Osv:
    """An OSV service.

    Args:
        service: Its address, without `/v1`.
        timeout_s: Of one request.
    """

    def __init__(self, service: str = SERVICE, timeout_s: float = 20.0) -> None:
        tls = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client = httpx.Client(base_url=service, verify=tls, timeout=httpx.Timeout(timeout_s, connect=5.0))
        self._service = service

    def advisories(self, pinned: Sequence[Pin]) -> list[Advisory]:
        """All that is known of the pins, withdrawn advisories left out; one that goes by several ids comes once.

        Raises:
            UnreachableError: it does not answer, or says that it cannot now.
            ValueError: it answers something else than documented.
        """
        found: dict[Pin, list[Advisory]] = {}
        texts: dict[str, Mapping[str, Any]] = {}
        for pin, name in self._ids(pinned):
            if name not in texts:
                texts[name] = self._asked("GET", f"/v1/vulns/{name}")
            advisory = _advisory(pin, texts[name])
            if advisory is not None and not any(advisory.names & other.names for other in found.get(pin, ())):
                found.setdefault(pin, []).append(advisory)
        return [advisory for pin in sorted(found) for advisory in found[pin]]

    def _ids(self, pinned: Sequence[Pin]) -> Iterator[tuple[Pin, str]]:
        waiting = [(pin, "") for pin in pinned]
        for _ in range(MAX_PAGES):
            if not waiting:
                return
            queries = [_query(pin, token) for pin, token in waiting]
            results = self._asked("POST", "/v1/querybatch", {"queries": queries}).get("results")
            if not isinstance(results, list) or len(results) != len(queries):
                raise ValueError(f"{self._service} does not answer one result for each of {len(queries)} queries")
            more = []
            for (pin, _token), result in zip(waiting, results, strict=True):
                yield from ((pin, str(each["id"])) for each in result.get("vulns", ()))
                if result.get("next_page_token"):
                    more.append((pin, str(result["next_page_token"])))
            waiting = more
        raise ValueError(f"{self._service} has still more after {MAX_PAGES} pages")

    def _asked(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.TransportError as error:
            raise UnreachableError(f"{self._service} does not answer: {error}") from error
        if answer.status_code in _NOT_NOW:
            raise UnreachableError(f"{self._service} answers {answer.status_code} to {path}")
        if answer.status_code != httpx.codes.OK:
            raise ValueError(f"{self._service} answers {answer.status_code} to {path}: {answer.text[:200]}")
        read = answer.json()
        if not isinstance(read, dict):
            raise ValueError(f"{self._service} answers no object to {path}")  # noqa: TRY004 - of the service's, not ours
        return read


def _query(pin: Pin, token: str) -> dict[str, object]:
    query: dict[str, object] = {"package": {"ecosystem": pin.ecosystem, "name": pin.name}, "version": pin.version}
    return query | ({"page_token": token} if token else {})


def _advisory(pin: Pin, said: Mapping[str, Any]) -> Advisory | None:
    if said.get("withdrawn"):
        return None
    ranges = [
        each
        for affected in said.get("affected", ())
        if canonicalize_name(affected.get("package", {}).get("name", "")) == canonicalize_name(pin.name)
        for each in affected.get("ranges", ())
        if each.get("type") == "ECOSYSTEM"
    ]
    fixed = sorted({str(event["fixed"]) for each in ranges for event in each.get("events", ()) if "fixed" in event})
    summary = str(said.get("summary") or said.get("details") or "").strip().partition("\n")[0][:160]
    return Advisory(pin, str(said["id"]), frozenset({said["id"], *said.get("aliases", ())}), summary, tuple(fixed))
