"""What a bucket has of a rule, as plain values: all of it, or what changed since; and the two put together again."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from agents.engine.key import Setting
from agents.engine.keystore import KeyStore
from agents.engine.newvalues import NewValues
from agents.engine.rows import Row
from agents.engine.waiting import Waiter, Waiting
from agents.rules.model import Rule
from schemas.errors import NewerReleaseError
from schemas.headers import NEVER

CHANGES_VERSION = 1
Reached = Sequence[int]  # watermark passed, and `blind_until`; microseconds UTC


class Held(Protocol):
    """What a bucket has of one rule."""

    rule: Rule
    setting: Setting
    waiting: Waiting
    keys: KeyStore
    seen: NewValues
    passed: int
    since: int
    coming: list[tuple[int, Rule | None]]


def whole(held: Held) -> dict[str, Any]:
    """Everything. From now on it is noted what changes."""
    return {
        "shape": held.rule.shape,
        "pending": _plain(held.waiting.save()),
        "keys": held.keys.save(),
        "known": held.seen.save(),
        "passed": held.passed,
        "blind_until": held.setting.blind_until,
        "since": held.since,
    }


def noting(held: Held) -> bool:
    """True where `changes` may be asked; False where only `whole` will do."""
    return held.waiting.noting and held.keys.noting and held.seen.noting


def changes(held: Held) -> dict[str, Any]:
    """What changed since the last `whole` or `changes`: {} where nothing did.

    Rows that wait change all the time. What is written of them is the watermark up to which those that waited are
    gone, and those that came since and still wait. That time passed, or that a source was absent, is no change of its
    own: it is the same in all buckets, see `reached`.
    """
    due, added = held.waiting.changes()
    keys, gone = held.keys.changes()
    known, forgotten = held.seen.changes()
    found: dict[str, Any] = {} if due is None else {"due": due}
    found |= {} if forgotten is None else {"forgotten": forgotten}
    lists = {"added": _plain(added), "keys": keys, "gone": gone, "known": known}
    found |= {name: values for name, values in lists.items() if values}
    if not found:
        return {}
    return found | {
        "shape": held.rule.shape,
        "passed": held.passed,
        "blind_until": held.setting.blind_until,
        "since": held.since,
    }


def reads(held: Held) -> int:
    """Checksum of which rows a rule reads: with others it has not come as far as it was."""
    return zlib.crc32(json.dumps([held.rule.row_shape, sorted(held.rule.kinds)], sort_keys=True).encode())


def reached(held: Held) -> Reached:
    """How far a rule has come. It changes with every message, in all buckets alike, and is saved once for all."""
    return held.passed, held.setting.blind_until


def reach(held: Held, saved: Reached) -> None:
    """Take back what `reached` gave.

    A rule whose next version begins before that goes on to it as time passes: here nothing may be skipped.
    """
    passed, blind_until = saved
    if not (held.coming and held.coming[0][0] <= passed):
        held.passed = max(held.passed, passed)
        held.setting.blind_until = max(held.setting.blind_until, blind_until)


def take_back(held: Held, saved: Mapping[str, Any]) -> list[str]:
    """Take what is still valid of a rule's saved state, and say what is not."""
    rule = held.rule
    before = saved.get("shape")
    if before is None:  # the first version knew only these
        kept = (saved["kind"], saved["span"]) == (rule.kind, rule.timespan_us)
        changed = [] if kept else ["kind or timespan"]
        rows_fit = kept
    else:
        # The release before did not know conditions, nor does a state that it wrote say that they changed.
        changed = [name for name, value in rule.shape.items() if before.get(name, value) != value]
        rows_fit = not set(changed) & {*rule.row_shape, "kind", "condition"}
    if rows_fit:
        for group_key, plain in saved["pending"]:
            held.waiting.add(Row.from_state(plain), group_key)
        held.passed = saved["passed"]
        held.setting.blind_until = saved.get("blind_until", NEVER)
        held.since = saved.get("since", NEVER)
        held.seen.load(saved["known"])
    else:
        held.since = saved["passed"]
    if not changed:
        held.keys.load(saved["keys"])
        return []
    lost = f"{len(saved['keys'])} keys" + ("" if rows_fit else f" and {len(saved['pending'])} waiting rows")
    return [f"state of rule {rule.id} dropped: {lost}, because it has another {', '.join(changed)} now"]


def merge(state: dict[str, Any], changed: Mapping[str, Any]) -> None:
    """Bring the saved state of a bucket, all of it, to where the next changes end.

    Raises:
        NewerReleaseError: the changes are of a newer release.
    """
    if changed.get("v") != CHANGES_VERSION:
        raise NewerReleaseError(
            f"saved changes have version {changed.get('v')!r}, this release reads {CHANGES_VERSION}",
            hint="run the release that wrote them, or a newer one",
        )
    for rule_id, made in changed["rules"].items():
        rule = state["rules"].setdefault(rule_id, {"pending": [], "keys": {}, "known": {}})
        if "due" in made:
            rule["pending"] = [waiter for waiter in rule["pending"] if waiter[1][0] >= made["due"]]
        rule["pending"] += made.get("added", [])
        for group_key in made.get("gone", []):
            rule["keys"].pop(group_key, None)
        rule["keys"] |= made.get("keys", {})
        if "forgotten" in made:
            rule["known"] = {value: last for value, last in rule["known"].items() if last > made["forgotten"]}
        rule["known"] |= made.get("known", {})
        rule |= {name: made[name] for name in ("shape", "passed", "blind_until", "since")}


def _plain(waiting: Iterable[Waiter]) -> list[list[object]]:
    return [[group_key, row.to_state()] for row, group_key in waiting]
