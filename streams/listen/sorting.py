"""Which source a received message is for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address

from streams.listen.header import Received
from streams.listen.settings import Route

MAX_KNOWN = 4_096  # combinations of program, host and sender remembered; then it starts anew

Claims = Callable[[bytes], bool]


class Sorter:
    """The first source whose conditions all hold; one without conditions takes what its type claims.

    What nobody takes goes to the source that is marked `otherwise`, else to the first one: so every message has a
    source, and the ledger counts it.

    Args:
        routes: At least one, in the configuration's order.
        claims_of: By a type's name, what says of a line that it is its.
    """

    def __init__(self, routes: Sequence[Route], claims_of: Callable[[str], Claims]) -> None:
        self._routes = routes
        self._claims = [None if r.has_conditions else claims_of(r.type) for r in routes]
        self._otherwise = next((i for i, r in enumerate(routes) if r.otherwise), 0)
        self._known: dict[tuple[str, str, str], list[int]] = {}

    def index(self, message: Received, sender: str) -> int:
        """Index of the source among the routes."""
        if len(self._routes) == 1:
            return 0
        key = (message.program, message.host, sender)
        candidates = self._known.get(key)
        if candidates is None:
            candidates = self._learn(key)
        for i in candidates:
            claims = self._claims[i]
            if claims is None or claims(message.line):
                return i
        return self._otherwise

    def _learn(self, key: tuple[str, str, str]) -> list[int]:
        """Sources in question, in their order; behind one whose conditions hold no other is."""
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        found: list[int] = []
        for i, route in enumerate(self._routes):
            if not route.has_conditions:
                found.append(i)
            elif _holds(route, *key):
                found.append(i)
                break
        self._known[key] = found
        return found


def _holds(route: Route, program: str, host: str, sender: str) -> bool:
    if route.programs and not any(fnmatchcase(program, p) for p in route.programs):
        return False
    if route.hosts and not any(fnmatchcase(host.lower(), h.lower()) for h in route.hosts):
        return False
    if not route.senders:
        return True
    address = ip_address(sender)
    return any(address.version == n.version and address in n for n in route.senders)
