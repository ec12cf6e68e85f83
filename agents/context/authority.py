"""Who may permit what to whom: a supervisor, as far as the roster tells.

The policy asks for "a supervisor's" permission. So nobody permits themselves anything, and a colleague's word is none.
"""

from __future__ import annotations

from agents.context.mac import normalise_mac
from agents.context.roster import PRINCIPAL, STUDENT, Person, Roster

# Offices whose holders answer for the whole district; a principal answers for a building.
DISTRICT_WIDE = frozenset({"superintendent", "administrator", "director"})
DEVICES = frozenset({"it", "security"})  # who decides of devices that are nobody's


def objection(roster: Roster, granter: str, holder: str) -> str:
    """Why somebody may not permit somebody anything, without names; empty where they may, or there is no roster to ask.

    Args:
        roster: The people.
        granter: Account or mail address of who permits.
        holder: Account, mail address or MAC address of who is permitted.
    """
    if not roster.present:
        return ""
    boss = _person(roster, granter)
    if boss is None:
        return "who granted it is nobody in the roster"
    if not boss.active:
        return "who granted it has left"
    if STUDENT in boss.roles:
        return "who granted it is a student"
    person = None if normalise_mac(holder) else _person(roster, holder)
    if person is None:
        device = bool(normalise_mac(holder))
        if _is_boss(roster, boss) or (device and DEVICES & set(boss.roles)):
            return ""
        return "who granted it is nobody's supervisor"
    if person.account == boss.account:
        return "who granted it is who is permitted"
    return "" if _answers_for(roster, boss, person) else "who granted it is no supervisor of who is permitted"


def _answers_for(roster: Roster, boss: Person, person: Person) -> bool:
    if roster.reports_to(person.account, boss.account) or DISTRICT_WIDE & set(boss.roles):
        return True
    if PRINCIPAL in boss.roles and (not person.site or not boss.site or person.site == boss.site):
        return True
    taught = STUDENT in person.roles and roster.teaches(boss.account, person.account)
    unsaid = not person.supervisor and not person.site and STUDENT not in person.roles
    return taught or (unsaid and _is_boss(roster, boss))


def _is_boss(roster: Roster, person: Person) -> bool:
    return bool({PRINCIPAL, *DISTRICT_WIDE} & set(person.roles)) or person.account in roster.supervisors


def _person(roster: Roster, name: str) -> Person | None:
    """Whose account or mail address it is."""
    lowered = name.strip().lower()
    found = roster.person(lowered) or roster.by_mail(lowered)
    return found or roster.person(lowered.partition("@")[0])
