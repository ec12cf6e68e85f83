"""The records that consumers get, as frozen values: violations with their evidence, and identity facts.

Field by field they are the records of `schemas/avro`, whose documentation says what each means; a test holds the two
against each other. Times are integers, microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar

from schemas.errors import SchemaError
from schemas.jsonutil import canonical

Model = TypeVar("Model")


class Status(StrEnum):
    """What a violation stands as."""

    VIOLATION = "violation"
    PERMITTED = "permitted"
    INFORMATIONAL = "informational"
    WITHDRAWN = "withdrawn"


class State(StrEnum):
    """Whether the episode goes on."""

    OPEN = "open"
    CLOSED = "closed"


class Severity(StrEnum):
    """Sigma's levels."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Threshold:
    """One threshold of the rule that was passed: its name, what it takes, and the highest value reached."""

    name: str
    limit: float
    value: float

    def to_record(self) -> dict[str, Any]:
        """Plain values for the codec."""
        return _plain(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> Threshold:
        """From plain values.

        Raises:
            SchemaError: a field is missing or unknown.
        """
        return _made(Threshold, record)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One event of a violation, and the log line that shows it; `summary` is a JSON object of its columns."""

    event_id: str
    timestamp: int
    log_source: str
    log_generation: str
    log_offset: int
    log_hash: str
    base: str
    summary: str
    facts: tuple[str, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Plain values for the codec."""
        return _plain(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> Evidence:
        """From plain values.

        Raises:
            SchemaError: a field is missing or unknown.
        """
        return _made(Evidence, {**record, "facts": tuple(record.get("facts", ()))})


@dataclass(frozen=True, slots=True)
class Violation:
    """One run of a rule holding for one group key, as it stood at one version.

    `group_key` is column name to value; `permit` a JSON object or None; `evidence` in time order.
    """

    id: str
    version: int
    rule_id: str
    rule_version: str
    rule_title: str
    clause: int
    policy: str
    severity: Severity
    status: Status
    state: State
    group_key: Mapping[str, str]
    first_seen: int
    last_seen: int
    opened_at: int
    count: int
    value: float
    value_lower_bound: bool
    evidence_dropped: int
    incomplete: bool
    timeline: str
    closed_at: int | None = None
    permit: str | None = None
    thresholds: tuple[Threshold, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    related: tuple[str, ...] = ()
    shadow: bool | None = None
    about: str | None = None

    @property
    def group_text(self) -> str:
        """The group key as canonical JSON, as ids are made from it."""
        return canonical(dict(self.group_key))

    def to_record(self) -> dict[str, Any]:
        """Plain values for the codec."""
        return _plain(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> Violation:
        """From plain values, as `decode_record` gives them.

        Raises:
            SchemaError: a field is missing or unknown, or a status, state or severity is none.
        """
        try:
            typed = {
                **record,
                "severity": Severity(record["severity"]),
                "status": Status(record["status"]),
                "state": State(record["state"]),
                "group_key": dict(record["group_key"]),
                "thresholds": tuple(map(Threshold.from_record, record.get("thresholds", ()))),
                "evidence": tuple(map(Evidence.from_record, record.get("evidence", ()))),
                "related": tuple(record.get("related", ())),
            }
        except (KeyError, ValueError) as error:
            raise _misfit(Violation, error) from error
        return _made(Violation, typed)


@dataclass(frozen=True, slots=True)
class IdentityFact:
    """An address belonged to a device or person from `valid_from` (inclusive) to `valid_to` (exclusive)."""

    fact_id: str
    version: int
    kind: str
    address: str
    value: str
    valid_from: int
    confidence: float
    event_id: str
    log_source: str
    timestamp: int
    valid_to: int | None = None
    end_reason: str | None = None

    def to_record(self) -> dict[str, Any]:
        """Plain values for the codec."""
        return _plain(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> IdentityFact:
        """From plain values, as `decode_record` gives them.

        Raises:
            SchemaError: a field is missing or unknown.
        """
        return _made(IdentityFact, record)


def _plain(value: Any) -> dict[str, Any]:
    return {field.name: _plain_value(getattr(value, field.name)) for field in fields(value)}


def _plain_value(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [_plain_value(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return _plain(value) if isinstance(value, Threshold | Evidence) else value


def _made(model: type[Model], values: Mapping[str, Any]) -> Model:
    try:
        return model(**values)
    except TypeError as error:
        raise _misfit(model, error) from error


def _misfit(model: type, error: Exception) -> SchemaError:
    return SchemaError(f"the record is no {model.__name__}: {error}", hint="see schemas/avro and schemas/models.py")
