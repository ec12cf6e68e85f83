"""Alerts: a notice about a violation, as a log line and, where configured, to a webhook."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from tenacity.stop import stop_when_event_set

from agents.alerts.wording import Wording
from schemas import metrics as names
from schemas.metrics import Metrics

log = logging.getLogger("aupstream.alert")


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
        "first_seen": seen,
        "count": violation["count"],
        "value": violation["value"],
    }


def _why(error: BaseException | None) -> str:
    """Why it was not delivered, without the address: it often holds a secret, and httpx's own words quote it."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answers {error.response.status_code}"
    return f"{type(error).__name__}: {error}"


class Alerts:
    """Sends alerts. One that cannot be delivered after all tries is logged and given up: the violation itself stays.

    Args:
        webhook: URL, or None for log lines only.
        timeout_s: Of one try.
        tries: At most.
        stop: Set to give up waiting.
        wording: Whom an alert may name.
        metrics: Counted into.
    """

    def __init__(
        self,
        webhook: str | None,
        timeout_s: float,
        tries: int,
        stop: threading.Event,
        wording: Wording,
        metrics: Metrics | None = None,
    ) -> None:
        self._webhook, self._wording = webhook, wording
        self._client = httpx.Client(timeout=timeout_s)
        self._retrying = Retrying(
            retry=retry_if_exception_type(httpx.HTTPError),
            wait=wait_random_exponential(multiplier=0.5, max=30),
            stop=stop_after_attempt(tries) | stop_when_event_set(stop),
        )
        self._metrics = metrics or Metrics()
        self.sent = 0
        self.failed = 0

    def send(self, violation: Mapping[str, Any], recipients: Sequence[str] = ()) -> None:
        """Log an alert and deliver it.

        Args:
            violation: In the `violation` schema.
            recipients: Mail addresses of those who are to be told; the receiver of the webhook passes it on to them.
        """
        alert = alert_of(violation, self._wording) | {"recipients": list(recipients)}
        # Who is told stands in the log only where the log is all that tells.
        left = ("title",) if self._webhook is None else ("title", "recipients")
        about = {"violation": alert["id"], "rule": alert["rule_id"]}
        log.warning("alert %s", " ".join(f"{k}={v}" for k, v in alert.items() if k not in left), extra=about)
        if self._webhook is None:
            return
        try:
            self._retrying(self._post, alert)
            self.sent += 1
            self._metrics.add(names.ALERTS_SENT, channel="webhook")
        except RetryError as error:
            self.failed += 1
            self._metrics.add(names.ALERTS_FAILED, channel="webhook")
            why = _why(error.last_attempt.exception())
            log.error("alert %s was not delivered to the webhook: %s", alert["id"], why)  # noqa: TRY400  # no fault of ours

    def _post(self, alert: Mapping[str, Any]) -> None:
        assert self._webhook is not None
        # The id and version let a receiver drop what it has already.
        headers = {"Idempotency-Key": f"{alert['id']}-{alert['version']}"}
        self._client.post(self._webhook, json=alert, headers=headers).raise_for_status()

    def tick(self, now_s: float) -> None:
        """Do what became due."""
        self._wording.tick(now_s)

    def close(self) -> None:
        """Close connections."""
        self._client.close()
