"""Precision and recall by clause. Pure.

A violation counts as a hit where something should be found of that clause, about one of the same people, devices or
addresses, and beginning while the violation lasts, give or take `NEAR`. A person who is accused of what is permitted,
innocent or another's is a false accusation; what should be a violation and stands as permitted is missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from infra.scoring.truth import Deed, Innocent, moment
from schemas.errors import InputError

NEAR = timedelta(minutes=10)
ACCUSES = "violation"


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation as it was printed.

    Attributes:
        id: Its id.
        clause: Clause.
        rule: Rule.
        who: Values of its group key, lower case, addresses also without their domain.
        first: First event, UTC.
        last: Last event, UTC.
        status: Its status.
    """

    id: str
    clause: int
    rule: str
    who: frozenset[str]
    first: datetime
    last: datetime
    status: str


@dataclass(slots=True)
class Clause:
    """One clause's figures.

    Attributes:
        hits: What should be found and was, as it should stand.
        accused: Those of them that are accusations: of status violation.
        missed: What should be found and was not, each with why it should.
        false: Accusations of who did nothing, each with the innocent cause where it is known.
        informed: What was only told for human review, or stands as permitted, beside what was expected: no accusation.
    """

    hits: int = 0
    accused: int = 0
    missed: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    informed: int = 0

    @property
    def precision(self) -> float | None:
        """Share of the accusations that are true; None where there is none."""
        all_accused = self.accused + len(self.false)
        return self.accused / all_accused if all_accused else None

    @property
    def recall(self) -> float | None:
        """Share of what should be found that was; None where there is nothing to find."""
        there = self.hits + len(self.missed)
        return self.hits / there if there else None


def findings(records: Iterable[Mapping[str, Any]], where: str) -> list[Finding]:
    """Violations as `aupstream backtest` and `aupstream violations --json` print them; those in shadow left out.

    Raises:
        InputError: one is no violation.
    """
    found = []
    for number, record in enumerate(records, 1):
        try:
            if record.get("shadow"):
                continue
            who = {part for v in record["group_key"].values() for part in _spelled(str(v))}
            first, last = moment(str(record["first_seen"])), moment(str(record["last_seen"]))
            plain = (str(record["id"]), int(record["clause"]), str(record["rule_id"]))
            found.append(Finding(*plain, frozenset(who), first, last, str(record["status"])))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            hint = "give what `aupstream backtest` or `aupstream violations --json` prints"
            raise InputError(f"this is no violation: {error!r}", where=f"{where}:{number}", hint=hint) from error
    return found


def _spelled(text: str) -> set[str]:
    lowered = text.lower()
    return {lowered, lowered.partition("@")[0]}


def score(deeds: Sequence[Deed], innocent: Sequence[Innocent], found: Sequence[Finding]) -> dict[int, Clause]:
    """Figures by clause, for every clause that something is expected or found of."""
    clauses: dict[int, Clause] = {}
    used: set[int] = set()
    for deed in sorted(deeds, key=lambda d: (d.status != ACCUSES, d.at)):
        clause = clauses.setdefault(deed.clause, Clause())
        there = [i for i, f in enumerate(found) if _about(deed, f)]
        right = [i for i in there if found[i].status == deed.status]
        used.update(right)
        if right:
            clause.hits += 1
            clause.accused += deed.status == ACCUSES
            # Another rule of the clause that says the same again accuses nobody else.
            used.update(i for i in there if deed.status == ACCUSES)
            continue
        clause.missed.append(_missed(deed, [found[i] for i in there]))
    for i, one in enumerate(found):
        clause = clauses.setdefault(one.clause, Clause())
        if i in used:
            continue
        if one.status == ACCUSES:
            clause.false.append(_false(one, deeds, innocent))
        elif one.status != "withdrawn":
            clause.informed += 1
    return dict(sorted(clauses.items()))


def _about(deed: Deed, one: Finding) -> bool:
    same = one.clause == deed.clause and deed.rule in ("", one.rule) and one.status != "withdrawn"
    who = {part for name in deed.who for part in _spelled(name)}
    return same and bool(who & one.who) and one.first - NEAR <= deed.at <= one.last + NEAR


def _missed(deed: Deed, there: Sequence[Finding]) -> str:
    instead = f"; it stands as {', '.join(sorted({f.status for f in there}))}" if there else ""
    rule = f"{deed.rule}: " if deed.rule else ""
    return f"{rule}{deed.at.isoformat()} {' '.join(sorted(deed.who))} ({deed.status}): {deed.why}{instead}"


def _false(one: Finding, deeds: Sequence[Deed], innocent: Sequence[Innocent]) -> str:
    cause = next((x for x in innocent if x.rule in ("", one.rule) and _spelled(x.who) & one.who), None)
    deed = next((d for d in deeds if d.status != ACCUSES and _about(d, one)), None)
    why = "nothing is known of it"
    if deed is not None:
        why = f"it is {deed.status}: {deed.why}"
    elif cause is not None:
        why = f"{cause.kind}: {cause.why}"
    return f"{one.rule}: {one.first.isoformat()} {' '.join(sorted(one.who))} [{one.id[:12]}]: {why}"


def total(clauses: Iterable[Clause]) -> Clause:
    """All clauses as one."""
    whole = Clause()
    for one in clauses:
        whole.hits += one.hits
        whole.accused += one.accused
        whole.missed += one.missed
        whole.false += one.false
        whole.informed += one.informed
    return whole
