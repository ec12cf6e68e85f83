"""Who may permit what to whom: a supervisor, as far as the roster tells.

The policy asks for "a supervisor's" permission. So nobody permits themselves anything, and a colleague's word is none.
What counts is the time of granting: `Permits.refused` asks again by the roster of then where today's objects.
"""

from __future__ import annotations

from agents.context.district import District
from agents.context.mac import normalise_mac
from agents.context.roster import PRINCIPAL, STUDENT, Person
from agents.context.whose import person_of

DISTRICT_WIDE = frozenset({"superintendent", "director"})  # offices whose holders answer for everybody
HEADS = frozenset({PRINCIPAL, "administrator"})  # for a building; an administrator without one, for everybody
DEVICES = frozenset({"it", "security"})  # who decides of devices that are nobody's


def objection(district: District, granter: str, holder: str) -> str:
    """Why somebody may not permit somebody anything, without names; empty where they may, or there is no roster to ask.

    Args:
        district: Its roster and mail domains.
        granter: Account or mail address of who permits.
        holder: Account, mail address or MAC address of who is permitted.
    """
    if not district.roster.present:
        return ""
    boss = person_of(district, granter)
    if boss is None:
        return "who granted it is nobody in the roster"
    if not boss.active:
        return "who granted it has left"
    if STUDENT in boss.roles:
        return "who granted it is a student"
    device = normalise_mac(holder) is not None
    person = None if device else person_of(district, holder)
    if person is None:
        may = _is_boss(district, boss) or (device and DEVICES & set(boss.roles))
        return "" if may else "who granted it is nobody's supervisor"
    if person.account == boss.account:
        return "who granted it is who is permitted"
    return "" if _answers_for(district, boss, person) else "who granted it is no supervisor of who is permitted"


def _answers_for(district: District, boss: Person, person: Person) -> bool:
    roster = district.roster
    if roster.reports_to(boss.account, person.account):
        return False  # whatever the office: nobody permits their own supervisor anything
    if roster.reports_to(person.account, boss.account) or _for_everybody(boss):
        return True
    student = STUDENT in person.roles
    if HEADS & set(boss.roles) and (person.site == boss.site or (student and not person.site)):
        return True
    taught = student and roster.teaches(boss.account, person.account)
    unsaid = not person.supervisor and not person.site and not student
    return taught or (unsaid and _is_boss(district, boss))


def _for_everybody(boss: Person) -> bool:
    return bool(DISTRICT_WIDE & set(boss.roles)) or ("administrator" in boss.roles and not boss.site)


def _is_boss(district: District, person: Person) -> bool:
    return bool((HEADS | DISTRICT_WIDE) & set(person.roles)) or person.account in district.roster.supervisors
