"""Alerts: a notice about a violation, as a log line and by every channel that is configured."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from tenacity import RetryError, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential
from tenacity.stop import stop_when_event_set

from agents.alerts.wording import Wording
from agents.sinks import patience
from schemas import metrics as names
from schemas.metrics import Metrics

log = logging.getLogger("aupstream.alert")
Alert = Mapping[str, Any]


class UndeliveredError(Exception):
    """An alert did not arrive.

    Args:
        why: For a person, without an address or any other secret.
        for_good: True where trying again would not help.
    """

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


class Channel(Protocol):
    """A way to tell people."""

    @property
    def name(self) -> str:
        """For logs and metrics."""

    def deliveries(self, alert: Alert) -> Sequence[Callable[[], None]]:
        """What is to be done for an alert, each by itself; they raise `UndeliveredError`."""

    def close(self) -> None:
        """Close connections."""


def alert_of(violation: Mapping[str, Any], wording: Wording) -> dict[str, Any]:
    """What an alert says: no evidence, and in the group key only whom it may name."""
    seen = datetime.fromtimestamp(violation["first_seen"] / 1e6, UTC).isoformat()
    return {
        "id": violation["id"],
        "version": violation["version"],
        "rule_id": violation["rule_id"],
        "title": violation["rule_title"],
        "clause": violation["clause"],
        "severity": violation["severity"],
        "status": violation["status"],
        "state": violation["state"],
        "group_key": wording.group_key(violation["group_key"]),
        "about": violation.get("about"),
        "first_seen": seen,
        "count": violation["count"],
        "value": violation["value"],
    }


FEW = 5  # tries, some four seconds


def _retrying(tries: int, stop: threading.Event) -> Retrying:
    return Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, UndeliveredError) and not error.for_good),
        wait=wait_random_exponential(multiplier=0.5, max=30),
        stop=stop_after_attempt(tries) | stop_when_event_set(stop),
    )


class Alerts:
    """Sends alerts. One that cannot be delivered after all tries is logged and given up: the violation itself stays.

    A receiver that restarts is waited for. Once it was in vain, the next alerts by the same channel are tried `FEW`
    times until one arrives: the ones by other channels must not wait for hours.

    Args:
        channels: By which people are told; none: log lines only.
        tries: At most.
        stop: Set to give up waiting.
        wording: Whom an alert may name.
        metrics: Counted into.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        tries: int,
        stop: threading.Event,
        wording: Wording,
        metrics: Metrics | None = None,
    ) -> None:
        self._channels, self._wording = channels, wording
        self._patient, self._short = (_retrying(most, stop) for most in (tries, min(tries, FEW)))
        self._in_vain = set[str]()  # channels by which an alert was given up and none was delivered since
        self._metrics = metrics or Metrics()
        self.sent = 0
        self.failed = 0

    def send(self, violation: Mapping[str, Any], recipients: Sequence[str] = ()) -> None:
        """Log an alert and deliver it.

        Args:
            violation: In the `violation` schema.
            recipients: Mail addresses of those who are to be told.
        """
        alert = alert_of(violation, self._wording) | {"recipients": list(recipients)}
        # Who is told stands in the log only where the log is all that tells.
        left = ("title", "recipients") if self._channels else ("title",)
        about = {"violation": alert["id"], "rule": alert["rule_id"]}
        log.warning("alert %s", " ".join(f"{k}={v}" for k, v in alert.items() if k not in left), extra=about)
        for channel in self._channels:
            for delivery in channel.deliveries(alert):
                self._deliver(channel.name, alert["id"], delivery)

    def _deliver(self, channel: str, violation: str, delivery: Callable[[], None]) -> None:
        try:
            with patience.waiting():
                (self._short if channel in self._in_vain else self._patient)(delivery)
        except (RetryError, UndeliveredError) as error:
            if isinstance(error, RetryError):
                self._in_vain.add(channel)
            self.failed += 1
            self._metrics.add(names.ALERTS_FAILED, channel=channel)
            why = error.last_attempt.exception() if isinstance(error, RetryError) else error
            # No fault of ours, so without a trace of the program.
            log.error("alert %s was not delivered to the %s: %s", violation, channel, why)  # noqa: TRY400
        else:
            self._in_vain.discard(channel)
            self.sent += 1
            self._metrics.add(names.ALERTS_SENT, channel=channel)

    def tick(self, now_s: float) -> None:
        """Do what became due."""
        self._wording.tick(now_s)

    def close(self) -> None:
        """Close connections."""
        for channel in self._channels:
            channel.close()
