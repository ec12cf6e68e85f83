"""Transforms that make values comparable: (a peer's to the comparable value, ours to the comparable value).

One module of them a kind of event; `common` has what several kinds need. Names are unique over all.
"""

from __future__ import annotations

from tests.normalisers.transforms import common, dhcp, login, login_network, mail, proxy, proxy_appliances
from tests.normalisers.transforms.common import NOT_STATED, Transform

TRANSFORMS: dict[str, Transform] = {}
for module in (common, proxy, proxy_appliances, dhcp, mail, login, login_network):
    assert not TRANSFORMS.keys() & module.TRANSFORMS.keys(), module.__name__
    TRANSFORMS.update(module.TRANSFORMS)

__all__ = ["NOT_STATED", "TRANSFORMS"]
