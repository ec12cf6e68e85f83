"""Who an alert names: nobody, unless the district asks for names, and a student never."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from agents.context.mac import normalise_mac
from agents.privacy.columns import KINDS
from agents.privacy.live import LiveNames
from agents.privacy.pseudonyms import Kind, guess
from agents.privacy.records import WITHHELD, group_key, is_plain

STUDENT = "student"


class Person(Protocol):
    """What is asked of a person of the roster."""

    @property
    def roles(self) -> Collection[str]:
        """Lower case, such as `student` or `teacher`."""


class People(Protocol):
    """What is asked of a roster."""

    def person(self, account: str) -> Person | None:
        """Whose account this is; None: nobody's that is known."""

    def by_mail(self, address: str) -> Person | None:
        """Whose mailbox this is."""


class Wording:
    """Turns group keys into what an alert may say.

    Args:
        live: Gives pseudonyms; None: they are off, and what may not be named is withheld.
        named: Whether names are asked for.
        people: Who is a student. Without a roster nobody is known not to be one, so nobody is named.
    """

    def __init__(self, live: LiveNames | None, *, named: bool = False, people: People | None = None) -> None:
        self._live, self._named, self._people = live, named, people

    def tick(self, now_s: float) -> None:
        """Take new keys."""
        if self._live is not None:
            self._live.tick(now_s)

    def group_key(self, key: Mapping[str, str]) -> dict[str, str]:
        """A group key with names only where they may be told."""
        hidden = self._hidden(key)
        if self._live is not None:
            self._live.take_new()  # persist writes them: it sees the same violations
        return {column: text if self._may_tell(column, text) else hidden[column] for column, text in key.items()}

    def _hidden(self, key: Mapping[str, str]) -> dict[str, str]:
        if self._live is not None:
            return group_key(self._live.names, key)
        return {column: text if is_plain(column) else WITHHELD for column, text in key.items()}

    def _may_tell(self, column: str, text: str) -> bool:
        """Staff by account and mailbox, machines by number: names of devices are often people's."""
        kind = guess(text) if column == "subject" else KINDS.get(column)
        if not self._named or kind is None:
            return False
        if kind is Kind.DEVICE:
            return normalise_mac(text) is not None
        if kind is Kind.ADDRESS:
            return True
        if self._people is None:
            return False
        person = self._people.by_mail(text) if kind is Kind.MAIL else self._people.person(text)
        return person is not None and STUDENT not in person.roles
