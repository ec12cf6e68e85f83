"""notify: `aup.violations` to alerts, one stage for one partition.

Thin: a violation is told when it opens and when its status changes; later versions of the same status tell nobody.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from agents.alerts.routing import Router
from agents.alerts.sending import Alerts
from agents.delivery.snapshots import META, pack, unpack
from agents.delivery.stage import Message, Output, Stage
from schemas.errors import CorruptBatchError
from schemas.records import decode_as

log = logging.getLogger(__name__)
REMEMBERED = 100_000  # ids whose last status is kept; an older one that is revised is told again
TOLD = ("violation", "withdrawn")  # permitted and informational ones are for the books


class NotifyStage(Stage):
    """See `Stage`. An alert may come twice after a crash, never not at all: receivers have its id and version."""

    def __init__(self, alerts: Alerts, router: Router) -> None:
        self._alerts, self._router = alerts, router
        self._told: OrderedDict[str, str] = OrderedDict()
        self._applied = -1

    @property
    def applied(self) -> int:
        """Highest offset that was told or passed over."""
        return self._applied

    def handle(self, message: Message) -> Sequence[Output]:
        """Tell a violation that is news."""
        self._applied = message.offset
        try:
            violation = decode_as("violation", message.value, message.where)
        except CorruptBatchError as error:
            log.warning("passed over: %s", error, extra=message.fields)  # persist makes a dead letter of it
            return ()
        if violation.get("shadow"):
            return ()  # its rule is being tried; should that end while it is open, the next version is news
        before = self._told.pop(violation["id"], None)
        self._told[violation["id"]] = violation["status"]
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        if violation["status"] != before and (violation["status"] in TOLD or before in TOLD):
            routed = self._router.route(violation)
            for one in routed.withheld:
                # Not who: log files are read by more people than alerts are.
                log.info("violation %s: somebody is not told of it: %s", violation["id"], one.why)
            if not all(one.known for one in routed.recipients):
                log.info("violation %s: nobody can say who reads an address that is told of it", violation["id"])
            self._alerts.send(violation, [one.address for one in routed.recipients])
        return ()

    def tick(self, now_s: float) -> Sequence[Output]:
        """Take new keys of pseudonyms."""
        self._alerts.tick(now_s)
        return ()

    def snapshot(self) -> Mapping[str, bytes]:
        """One part."""
        return {META: pack(applied=self._applied, told=list(self._told.items()))}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Take back `snapshot`."""
        if META not in parts:
            return
        plain = unpack(parts[META])
        self._applied = plain["applied"]
        self._told = OrderedDict((i, s) for i, s in plain["told"])

    def close(self) -> None:
        """Close connections."""
        self._alerts.close()
