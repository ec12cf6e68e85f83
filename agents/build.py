"""What agents and commands judge against, put together from settings: district, roster, inventory, permits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from agents.context.categories import OWN, Categories
from agents.context.district import District, Site
from agents.context.inventory import Inventory
from agents.context.kept import Kept, copy_of
from agents.context.ldif import is_ldif, read_ldif
from agents.context.maillists import MailLists
from agents.context.oneroster import is_oneroster, read_oneroster
from agents.context.permitlog import LivePermits, Record
from agents.context.permits import Permits
from agents.context.roster import Roster
from agents.context.rosterroles import RolesFile
from agents.engine.episodes import Judge
from agents.settings import DistrictSettings
from schemas.errors import AupstreamError, ConfigError

log = logging.getLogger(__name__)
FILES = ("inventory", "roster", "roles", "permits", "lists")  # of which every version is kept


def district_of(settings: DistrictSettings) -> District:
    """The district that events are judged against.

    Raises:
        Errors: every value that is wrong.
    """
    sites = [Site(s.name, s.networks, s.access_points, s.latitude, s.longitude, s.also) for s in settings.sites]
    made = District.of(settings.name, settings.timezone, settings.domains, sites, settings.calendar)
    categories = Categories.read(settings.categories or (OWN,), settings.category_names)
    lists = MailLists() if settings.lists is None else MailLists.read(settings.lists)
    return made.knowing(roster_of(settings), settings.shared_networks, categories, lists, settings.dhcp_servers)


def roster_of(settings: DistrictSettings) -> Roster:
    """The roster, or none. Raises as `Roster.read`, `read_oneroster` and `read_ldif`, and for roles of nobody."""
    more = None if settings.roles is None else RolesFile(settings.roles)
    if settings.roster is None:
        if more is None:
            return Roster()
        hint = "name the roster, too, or write the roles into it"
        raise ConfigError("there are roles and no roster", where="[district] roles", hint=hint)
    if is_ldif(settings.roster):
        return read_ldif(settings.roster, more)
    if is_oneroster(settings.roster):
        return read_oneroster(settings.roster, more)
    return Roster.read(settings.roster, more)


def inventory_of(settings: DistrictSettings) -> Inventory:
    """The inventory, or none. Raises as `Inventory.read`."""
    return Inventory.none() if settings.inventory is None else Inventory.read(settings.inventory)


def judge_of(settings: DistrictSettings, district: District, records: Callable[[], Sequence[Record]] = tuple) -> Judge:
    """Permits and the policy's name.

    Args:
        settings: What the configuration says.
        district: The district.
        records: Gives the records of permits that were entered so far: another sequence when there are more.

    Raises:
        Errors: as `Permits.read`.
    """
    return Judge(LivePermits(written_permits(settings, district), records), settings.policy)


def written_permits(settings: DistrictSettings, district: District) -> Permits:
    """Permits of the configuration's file. Raises as `Permits.read`."""
    written = Permits((), district) if settings.permits is None else Permits.read(settings.permits, district)
    return (
        written if settings.kept is None else replace(written, then=districts_kept(settings, settings.kept, district))
    )


def as_kept(settings: DistrictSettings, version: Path) -> DistrictSettings:
    """The same settings with the files of a version that was kept; a file that it lacks was not there.

    Raises:
        OSError: the version is not there any more.
    """
    return settings.model_copy(update={name: copy_of(version, name) for name in FILES})


def districts_kept(settings: DistrictSettings, folder: Path, district: District) -> Kept:
    """What was judged by before. A version that cannot be read any more says nothing."""

    def of(version: Path) -> District | None:
        try:
            roster = roster_of(as_kept(settings, version))
        except (AupstreamError, OSError) as error:
            log.warning("a roster of before cannot be read: %s", error)
            return None
        more = (district.shared_networks, district.categories, district.lists, district.dhcp_servers)
        return district.knowing(roster, *more) if roster.present else None

    def permits(version: Path) -> frozenset[str]:
        path = version / f"permits{settings.permits.suffix if settings.permits is not None else '.csv'}"
        try:
            return frozenset(p.id for p in Permits.read(path, district).permits)
        except AupstreamError:
            return frozenset()

    return Kept(folder, of, permits)
