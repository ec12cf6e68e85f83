"""Settings that come with a query: put in force before it, taken back before the next one that differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from infra.embedded.native.constants import Code
from infra.embedded.native.engine import Session
from infra.embedded.native.faults import ServerError, refuse
from infra.embedded.native.messages import Setting
from infra.embedded.native.sql import quote

# By log_comment the server marks each session's queries, to be able to cancel them; a client's value has no use here,
# since the embedded engine keeps no query log. A readonly of one query is the guard's business.
_OURS: Final = ("log_comment", "implicit_select", "readonly")


class QuerySettings:
    """What is in force on one session beyond its own SET statements."""

    def __init__(self, session: Session, known: Mapping[str, str]) -> None:
        self._session = session
        self._known = known
        self._applied: dict[str, str] = {}
        self._before: dict[str, str | None] = {}
        self._current: dict[str, str] = {}

    def apply(self, wanted: Mapping[str, Setting]) -> None:
        """Have exactly ``wanted`` in force. Raises `ServerError` for an unknown important one or a bad value."""
        accepted = {name: setting.value for name, setting in wanted.items() if self._accepts(name, setting)}
        if accepted == self._applied:
            return
        self.restore()
        if accepted:
            self._remember(accepted)
            try:
                for name, value in accepted.items():
                    # ClickHouse's own client names many settings that are as they are here; some cannot be SET.
                    if self._current.get(name) != value:
                        self._session.set(name, value)
                    self._applied[name] = value
            except ServerError:
                self.restore()
                raise

    @property
    def are_extremes_on(self) -> bool:
        """Whether the running query was sent with ``extremes``, which asks for packets of its own."""
        return self._applied.get("extremes", "0") not in ("0", "false")

    def restore(self) -> None:
        """Take back what `apply` did. Call before a SET of the client, or it would be undone later."""
        applied, self._applied = self._applied, {}
        for name in (name for name, value in applied.items() if self._current.get(name) != value):
            old = self._before[name]
            self._session.run(f"SET {name} = DEFAULT" if old is None else f"SET {name} = {quote(old)}")

    def _accepts(self, name: str, setting: Setting) -> bool:
        if name in _OURS:
            return False
        if name not in self._known:
            if setting.important:
                raise refuse(Code.UNKNOWN_SETTING, f"Setting {name} is neither a builtin setting nor known here")
            return False
        return True

    def _remember(self, names: Mapping[str, str]) -> None:
        listed = ", ".join(quote(name) for name in names)
        rows = self._session.rows(f"SELECT name, value, changed FROM system.settings WHERE name IN ({listed})")  # noqa: S608 - quoted, or the own text of who asks
        self._before = {str(name): str(value) if changed else None for name, value, changed in rows}
        self._current = {str(name): str(value) for name, value, _ in rows}
