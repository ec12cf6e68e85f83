"""The book of permits: is somebody permitted something at a time, and by which permission?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from agents.context.authority import objection
from agents.context.csvfile import raise_all, read_text, rows
from agents.context.district import District
from agents.context.kept import Then, nothing_kept
from agents.context.permit import Act, Permit, Scope, local_time
from agents.context.permitfile import COLUMNS, OPTIONAL, permit_of
from agents.context.versions import content_version
from agents.context.whose import spellings
from schemas.errors import ConfigError

__all__ = ["COLUMNS", "OPTIONAL", "Permit", "Permits"]

NO_ACT = Act()
NEAR_US = 86_400_000_000  # a permit that is no farther away than this is cited, though it does not count


@dataclass(frozen=True)
class Permits:
    """All permits of a district.

    Attributes:
        permits: In the order in which they were given.
        district: Whose mail domains turn an account into an address, and whose roster says who may grant.
        then: The district as it was when a permit was given, as far as that is known.
    """

    permits: tuple[Permit, ...] = ()
    district: District = field(default_factory=District)
    then: Then = field(default=nothing_kept, compare=False, repr=False)

    @staticmethod
    def read(path: Path, district: District) -> Permits:
        """Read a CSV file with the columns `who,clause,from,to,granted_by,reason` and, where wanted, `OPTIONAL`.

        Times are ISO 8601; without an offset they are local to the district. A date alone means the whole day: from
        its first moment, or to its last.

        Raises:
            ConfigError: the file cannot be read.
            Errors: of `ConfigError`, every row that is wrong; nothing is taken from such a file.
        """
        return Permits.parse(read_text(path), str(path), district)

    @staticmethod
    def parse(text: str, file: str, district: District) -> Permits:
        """`read` from a text; `file` is its name in errors."""
        errors: list[ConfigError] = []
        permits: list[Permit] = []
        named: dict[str, str] = {}
        for where, row in rows(text, file, COLUMNS, errors, optional=OPTIONAL):
            before = len(errors)
            permit = permit_of(row, where, district.timezone, errors)
            if permit is not None and permit.name and (first := named.setdefault(permit.name, where)) != where:
                what = f"id {permit.name!r} stands at {first} already"
                errors.append(ConfigError(what, where=where, hint="give every permit an id of its own, or none"))
            if permit is not None and len(errors) == before:
                permits.append(permit)
        raise_all(errors)
        return Permits(tuple(permits), district)

    def and_more(self, permits: Sequence[Permit]) -> Permits:
        """These and others behind them."""
        return replace(self, permits=(*self.permits, *permits)) if permits else self

    @cached_property
    def version(self) -> str:
        """12 hexadecimal digits of a hash of its content."""
        return content_version([p.record() for p in self.permits])

    @cached_property
    def refused(self) -> Mapping[str, str]:
        """Why permits count for nothing, by their ids: who granted them may not, and might not when they did."""
        said = ((p.id, self._refusal(p)) for p in self.permits)
        return {name: why for name, why in said if why}

    def _refusal(self, permit: Permit) -> str:
        """Why who granted a permit might not; a permit of who left later goes on."""
        why = objection(self.district, permit.granted_by, permit.who)
        if not why or permit.checked:
            return ""
        then = self.then(permit)
        return why if then is None else objection(then, permit.granted_by, permit.who) and why

    @cached_property
    def _by_holder(self) -> dict[tuple[int, str], list[Permit]]:
        index: dict[tuple[int, str], list[Permit]] = {}
        for permit in self.permits:
            for holder in spellings(self.district, permit.who):
                index.setdefault((permit.clause, holder), []).append(permit)
        return index

    @cached_property
    def _clauses(self) -> frozenset[int]:
        return frozenset(p.clause for p in self.permits)

    def knows(self, clause: int) -> bool:
        """False where there is no permit of a clause at all."""
        return clause in self._clauses

    def covering(self, who: Iterable[str], clause: int, t_us: int, act: Act = NO_ACT) -> dict[str, Any] | None:
        """The permit that covers a moment for any of some names.

        A permit's holder and a name match where they stand for one person by the roster, whichever of account and
        addresses each is; where it has neither, an account matches what stands before the `@` of an address of the
        district. Case makes no difference, nor does the notation of a MAC address.

        Args:
            who: Values of a group key.
            clause: Clause of the rule.
            t_us: Event time, microseconds UTC.
            act: What was done, for permits that permit only some of it.

        Returns:
            `Permit.record()` of the one that goes farthest: without a limit of recipients before one with, then the one
            that lasts longest (of equals the first). Where none covers it, one of that person and clause that is not a
            day away is given all the same, and says under `refused` why it counts for nothing. None where there is
            no such permit either.
        """
        found: Permit | None = None
        objection, best = "", (False, False, 0, 0)
        for name in who:
            for holder in spellings(self.district, str(name)):
                for permit in self._by_holder.get((clause, holder), ()):
                    if not permit.from_us - NEAR_US <= t_us < permit.to_us + NEAR_US:
                        continue
                    why = self._objection(permit, t_us, act)
                    limit = permit.scope.recipients
                    rank = (not why, not limit, limit, permit.end_us)
                    if found is None or rank > best:
                        found, objection, best = permit, why, rank
        if found is None:
            return None
        return found.record() | ({"refused": objection} if objection else {})

    def _objection(self, permit: Permit, t_us: int, act: Act) -> str:
        """Why a permit does not cover what was done; empty where it does. Without names."""
        if t_us < permit.from_us:
            return "it begins later"
        if t_us >= permit.end_us:
            return "it had ended" if t_us >= permit.to_us else "it had been revoked"
        return self.refused.get(permit.id, "") or self._beyond(permit.scope, t_us, act)

    def _beyond(self, scope: Scope, t_us: int, act: Act) -> str:
        if scope.rule not in ("", act.rule):
            return "it is for another rule"
        if scope.hours is not None and not scope.hours.holds(local_time(t_us, self.district.timezone)):
            return "it is for other hours"
        if scope.device and scope.device != act.device():
            return "it is for another device"
        if scope.list and act.may_have("email_") and act.of("email_lists").split() != [scope.list]:
            return "it is for another list, or for that list alone"
        if scope.category and act.may_have("url_") and scope.category not in self._categories(act):
            return "it is for another category"
        return ""

    def _categories(self, act: Act) -> frozenset[str]:
        """Categories of the page that was asked for: the lists', and the filter's own word for it."""
        categories, said = self.district.categories, act.of("proxy_category")
        return categories.of_page(act.of("url_domain"), act.of("url_path")) | {said} | categories.filed(said)
