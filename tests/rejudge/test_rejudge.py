"""The past judged again on a running system: a late lease and login, a permit after the fact, a corrected inventory."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.run.again import Again
from infra.run.system import System
from tests.cli.command import Ran, aupstream
from tests.road.scene import Scene, to_toml, wait_until
from tests.road.stored import Stored

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

START = 1_772_438_400  # 2026-03-02 08:00 UTC, a Monday
ANNA, BEN, LENT = "3c:52:82:00:00:01", "3c:52:82:00:00:02", "3c:52:82:00:00:03"
RULES = """
title: Refused pages of a person
name: refused-pages
description: Somebody asked again and again for what the filter refuses.
level: low
falsepositives: [a page that asks by itself]
correlation: {type: event_count, rules: [refused], group-by: [person], timespan: 10m, condition: {gte: 5}}
aupstream: {clause: 2}
---
title: A request that the filter refused
name: refused
logsource: {category: proxy}
detection:
  selection: {event_action: denied}
  condition: selection
"""


def _clock(seconds: int) -> str:
    return datetime.fromtimestamp(START + seconds, UTC).strftime("%b %e %H:%M:%S")


def _lease(seconds: int, mac: str, address: str = "10.1.0.5") -> str:
    return f"{_clock(seconds)} dhcp1 dhcpd[1]: DHCPACK on {address} to {mac} (host) via 10.1.0.1\n"


def _login(seconds: int, user: str, mac: str) -> str:
    at = datetime.fromtimestamp(START + seconds, UTC).strftime("%a %b %e %H:%M:%S %Y")
    card = mac.upper().replace(":", "-")
    return f"{at} : Auth: (7) Login OK: [{user}] (from client ap-1 port 3 cli {card})\n"


def _page(seconds: int, address: str, result: str) -> str:
    return f"{START + seconds}.000    100 {address} {result} 3900 GET http://games.example/ - HIER_NONE/- text/html\n"


def _refused(address: str, *seconds: int) -> str:
    return "".join(_page(s, address, "TCP_DENIED/403") for s in seconds)


def _scene(folder: Path) -> Scene:
    (folder / "dhcpd.log").write_text(_lease(0, ANNA) + _lease(100, LENT, "10.1.0.7") + _lease(9_000, ANNA))
    pages = _refused("10.1.0.5", 3_600, 3_610, 3_620, 3_630, 3_640)
    pages += _refused("10.1.0.7", 4_600, 4_610, 4_620, 4_630, 4_640) + _page(8_000, "10.1.0.5", "TCP_MISS/200")
    (folder / "access.log").write_text(pages)
    (folder / "radius.log").write_text(_login(9_000, "dora", "3c:52:82:00:00:09"))
    (folder / "rules").mkdir()
    (folder / "rules" / "refused.yml").write_text(RULES)
    _inventory(folder, ben="ben")
    plain: dict[str, Any] = {
        "data": str(folder / "data"),
        "district": {"inventory": "inventory.csv", "timezone": "UTC"},
        "rules": {"paths": ["rules"]},
        "kafka": {"event_partitions": 2, "detection_partitions": 2},
        "sources": [
            {"name": "dhcp", "type": "isc_dhcpd", "path": "dhcpd.log", "mode": "follow", "lateness_s": 0, "year": 2026},
            {"name": "wlan", "type": "freeradius", "path": "radius.log", "mode": "follow", "lateness_s": 0},
            {"name": "proxy", "type": "squid", "path": "access.log", "mode": "follow", "lateness_s": 0},
        ],
    }
    scene = Scene(folder)
    scene.file.write_text(to_toml(plain))
    return scene


def _inventory(folder: Path, ben: str) -> None:
    text = f"mac,owner,kind,site\n{ANNA},anna,laptop,\n{BEN},{ben},{'laptop' if ben else 'cart'},\n{LENT},,laptop,\n"
    (folder / "inventory.csv").write_text(text)


def _found(stored: Stored) -> dict[str, tuple[str, str, list[str]]]:
    """Id, status and related ids by whom it is about, from the topic: there names are not hidden."""
    return {r["group_key"]["person"]: (r["id"], r["status"], r["related"]) for r in stored.violations()}


def _in_store(stored: Stored, found: dict[str, tuple[str, str, list[str]]]) -> bool:
    rows = stored.rows("SELECT id, status FROM violations_now ORDER BY id")
    return rows == sorted((name, status) for name, status, _ in found.values())


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def _rejudge(scene: Scene, *more: object) -> Ran:
    ran = aupstream("rejudge", "-c", scene.file, "--json", *more)
    assert ran.code == 0, ran.err
    return ran


def _late_lease(scene: Scene, system: System, stored: Stored) -> None:
    """The address was Ben's since 8:30: but that line came when all was judged."""
    _append(scene.folder / "dhcpd.log", _lease(1_800, BEN))
    wait_until(system, lambda: stored.number("SELECT countIf(late) FROM events_dhcp FINAL") == 1)
    anna = _found(stored)["anna"][0]
    again = Again(scene.file, scene.config.data, scene.folder / "rejudge.log", 1.0)
    deadline = time.monotonic() + 120
    while not stored.number("SELECT count() FROM rejudgements"):  # written last: ended before, it would be judged anew
        print(*again.poll())  # noqa: T201 - the run's story, shown where a test fails
        assert time.monotonic() < deadline, (scene.folder / "rejudge.log").read_text()
        time.sleep(0.2)
    again.stop()
    found = _found(stored)
    ben = found["ben"][0]
    assert found == {"anna": (anna, "withdrawn", [ben]), "ben": (ben, "violation", [anna])}
    wait_until(system, lambda: _in_store(stored, found))
    assert "nothing is to be judged again" in aupstream("rejudge", "--due", "-c", scene.file).err


def _permit_afterwards(scene: Scene, system: System, stored: Stored) -> None:
    given = (
        "--clause",
        2,
        "--from",
        "2026-03-02",
        "--to",
        "2026-03-02",
        "--granted-by",
        "head",
        "--reason",
        "unit on games",
    )
    assert aupstream("permits", "add", "--who", "ben", *given, "-c", scene.file).code == 0
    (changed,) = _rejudge(scene, "--due").objects
    assert (changed["what"], changed["status"]) == ("changed", "permitted")
    found = _found(stored)
    assert found["ben"][1] == "permitted"
    wait_until(system, lambda: _in_store(stored, found))
    assert _rejudge(scene, "--due").objects == []


# Between what it tells and what it writes down: nothing but the row of the table is inserted.
_KILLED = """
import os, signal
from infra.cli.store import Store
Store.insert = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
from infra.cli import main
main()
"""


def _corrected_inventory(scene: Scene, system: System, stored: Stored) -> None:
    """Ben's laptop was a cart: nobody is named. First only tried, then told, though it is killed over it."""
    _inventory(scene.folder, ben="")
    day = ("--from", "2026-03-02", "--to", "2026-03-02", "--reason", "it is a cart")
    as_it_was = _rejudge(scene, *day, "--dry-run")
    assert (as_it_was.objects, "inventory: 1 rows are others now" in as_it_was.err) == ([], True), as_it_was.err
    asked = (*day, "--corrected", f"inventory:{BEN}")
    (tried,) = _rejudge(scene, *asked, "--dry-run").objects
    assert (tried["what"], _found(stored)["ben"][1]) == ("withdrawn", "permitted")
    argv = [sys.executable, "-c", _KILLED, "rejudge", "-c", str(scene.file), *asked]
    assert subprocess.run(argv, cwd=Path(__file__).parents[2], check=False).returncode == -signal.SIGKILL
    assert _found(stored)["ben"][1] == "withdrawn"
    assert not stored.number("SELECT count() FROM rejudgements WHERE reason = 'it is a cart'")
    wait_until(system, lambda: _in_store(stored, _found(stored)))
    again = _rejudge(scene, *asked)
    assert (again.objects, "cut off while it was told; 0 of 1 were left" in again.err) == ([], True), again.err
    assert _rejudge(scene, "--due").objects == [], "what was corrected stays so"
    query = "SELECT reason, length(changed), length(withdrawn), length(raised) FROM rejudgements ORDER BY at"
    assert stored.rows(query) == [
        ("1 leases came late", 0, 1, 1),
        (f"permit {_permit(scene)}: grant", 1, 0, 0),
        ("it is a cart", 0, 1, 0),
        ("it is a cart", 0, 0, 0),
    ]


def _late_login(scene: Scene, system: System, stored: Stored) -> None:
    """A laptop that is nobody's: who was on it, a line says that came when all was judged."""
    assert "cleo" not in _found(stored)
    _append(scene.folder / "radius.log", _login(4_500, "cleo", LENT))
    wait_until(system, lambda: stored.number("SELECT countIf(late) FROM events_login FINAL") == 1)
    (raised,) = _rejudge(scene, "--due").objects
    assert (raised["what"], raised["status"]) == ("raised", "violation")
    assert _found(stored)["cleo"][1:] == ("violation", [])
    wait_until(system, lambda: _in_store(stored, _found(stored)))
    assert _rejudge(scene, "--due").objects == []
    query = "SELECT length(raised) FROM rejudgements WHERE reason = '1 logins came late'"
    assert stored.rows(query) == [(1,)]


def _over_two_sets_of_rules(scene: Scene) -> None:
    """They are changed once: what was judged by the ones is judged again by those, and the rest by the others."""
    changed = scene.folder / "rules" / "refused.yml"
    changed.write_text(changed.read_text().replace("title: ", "title: Since then, ", 1))
    assert aupstream("rules", "apply", "--at", "2026-03-04T00:00:00Z", "-c", scene.file).code == 0
    asked = ("--from", "2026-03-02", "--to", "2026-03-06", "--reason", "both", "--dry-run")
    said = _rejudge(scene, *asked).err.splitlines()
    assert [line.split(": ")[0] for line in said if line.startswith("judging")] == [
        "judging again from 2026-03-02T00:00:00Z to 2026-03-04T00:00:00Z",
        "judging again from 2026-03-04T00:00:00Z to 2026-03-07T00:00:00Z",
    ]


def _permit(scene: Scene) -> str:
    (permit,) = aupstream("permits", "list", "--all", "-c", scene.file, "--json").objects
    return str(permit["id"])


def test_the_past_is_judged_again_after_what_came_late_and_what_was_corrected(tmp_path: Path) -> None:
    scene = _scene(tmp_path)
    with scene.running() as system:
        stored = Stored(system)
        wait_until(system, lambda: [v[1] for v in _found(stored).values()] == ["violation"])
        wait_until(system, lambda: stored.rows("SELECT state FROM violations_now") == [("closed",)])
        _late_lease(scene, system, stored)
        _permit_afterwards(scene, system, stored)
        _corrected_inventory(scene, system, stored)
        _late_login(scene, system, stored)
        _over_two_sets_of_rules(scene)
        # Those of one violation in their order; between two of them there is none.
        told = (system.paths.logs / "notify-0.log").read_text()
        alerts = re.findall(r"alert id=(\w+) .*?status=(\w+)", told)
        anna, ben = (_found(stored)[who][0] for who in ("anna", "ben"))
        assert [status for one, status in alerts if one == anna] == ["violation", "withdrawn"]
        assert [status for one, status in alerts if one == ben] == ["violation", "permitted", "withdrawn"]
        stored.close()
