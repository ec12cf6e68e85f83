"""Alerts to a web address, whose receiver passes them on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import httpx

from agents.alerts.sending import Alert, UndeliveredError


class Webhook:
    """See `Channel`: one POST of JSON an alert.

    Args:
        address: URL. It often holds a secret, so no error names it.
        timeout_s: Of one try.
    """

    name = "webhook"

    def __init__(self, address: str, timeout_s: float) -> None:
        self._address = address
        self._client = httpx.Client(timeout=timeout_s)

    def deliveries(self, alert: Alert) -> Sequence[Callable[[], None]]:
        """See `Channel`."""
        return (partial(self._post, alert),)

    def _post(self, alert: Alert) -> None:
        # The id and version let a receiver drop what it has already.
        headers = {"Idempotency-Key": f"{alert['id']}-{alert['version']}"}
        try:
            self._client.post(self._address, json=alert, headers=headers).raise_for_status()
        except httpx.HTTPStatusError as error:  # its own words quote the address
            message = f"it answers {error.response.status_code}"
            raise UndeliveredError(message) from error
        except httpx.HTTPError as error:
            message = f"{type(error).__name__}: {error}"
            raise UndeliveredError(message) from error

    def close(self) -> None:
        """Close connections."""
        self._client.close()
