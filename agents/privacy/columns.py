"""What each column of an event says about a person, and events with pseudonyms in place of it.

Servers and places keep their names: `observer_hostname`, `destination_ip`, `url_domain`, `access_point`, `nas_ip`,
`dhcp_relay_ip`, sites. They say what was used, not by whom.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

import polars as pl

from agents.context.accounts import MASKED_USER
from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine.enrich import ACCOUNTS, Enricher
from agents.privacy.pseudonyms import Kind, Pseudonymiser
from schemas.kinds import EventKind

KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("user_name", "target_user_name", "source_device_owner"), Kind.USER),
    **dict.fromkeys(("person", "recipient_person", "untaught_student"), Kind.USER),
    **dict.fromkeys(("email_from_address", "email_header_from_address"), Kind.MAIL),
    **dict.fromkeys(("email_to_address", "email_to_original_address"), Kind.MAIL),
    **dict.fromkeys(("delivered_recipients", "mailed_recipients", "disclosed_recipients"), Kind.MAIL),
    **dict.fromkeys(("source_mac", "login_source", "host_name", "device_id", "key_fingerprint"), Kind.DEVICE),
    **dict.fromkeys(("dhcp_client_id", "dhcp_duid", "source_domain", "email_helo"), Kind.DEVICE),
    **dict.fromkeys(("source_ip", "dhcp_requested_ip", "assigned_ip"), Kind.ADDRESS),
}
# Free text: mail addresses in it, and the account of the same event, are replaced; nothing else can be known of it.
TEXTS = frozenset(
    "url_original url_path url_query http_request_referrer event_reason event_details email_subject file_name "
    "email_attachment_name executable_attachment message_key email_message_id".split()
)
# Of the details of an event, which stand as NAME=value, those that name somebody.
_NAMING = ("SubjectUserName", "SubjectUserSid", "TargetUserSid")
# Message-IDs look like addresses and are none; but one that is a mailbox's own must not be read there.
_MAILBOX = re.compile(r"[\w.+-]+(?:'[\w.+-]+)*(?:@|%40)[\w-]+(?:\.[\w-]+)+")
_NOT_MAILBOXES = frozenset({"email_message_id"})


class Names:
    """Replaces names in events and in single values.

    Args:
        pseudonyms: Under which key, and what is not written yet.
        district: Whose domains make an account of another spelling the same one.
    """

    def __init__(self, pseudonyms: Pseudonymiser, district: District) -> None:
        self.pseudonyms = pseudonyms
        self._enricher = Enricher(district, Inventory.none())
        self._account = lru_cache(maxsize=100_000)(self._account_once)

    def event_frame(self, kind: EventKind, frame: pl.DataFrame) -> pl.DataFrame:
        """Events with pseudonyms in place of names.

        Args:
            kind: Their kind.
            frame: In that kind's schema.

        Returns:
            The same rows and columns.
        """
        del kind  # a column means the same in all of them
        spellings = {c: self._accounts(c, frame) for c in ACCOUNTS if c in frame.columns}
        made = []
        for column in frame.columns:
            if column in spellings:
                made.append(self._users(frame[column], spellings[column]))
            elif column in KINDS:
                made.append(self._replaced(frame[column], KINDS[column]))
        own = spellings.get("user_name")
        made += [self._scrubbed(frame[c], own) for c in frame.columns if c in TEXTS]
        return frame.with_columns(made)

    def value(self, column: str, text: str, account: str | None = None) -> str:
        """One value of a column that is known to say something about a person, or free text; else unchanged.

        Args:
            column: A column of events, or a derived one.
            text: Its value.
            account: The account of the same event, for free text.
        """
        kind = KINDS.get(column)
        if kind is not None:
            return self.user(text) if kind is Kind.USER else self.pseudonyms.of(kind, text)
        return self.scrub(column, text, account) if column in TEXTS else text

    def user(self, text: str, domain: str | None = None) -> str:
        """The pseudonym of an account in any spelling, with the realm that was logged beside it."""
        spelling = self._account(text, domain)
        if spelling is None:
            return text if text in ("", MASKED_USER) else MASKED_USER
        return self.pseudonyms.of(Kind.USER, spelling)

    def scrub(self, column: str, text: str, account: str | None = None) -> str:
        """Free text without mail addresses and without the account.

        Args:
            column: Its column.
            text: Free text.
            account: An account as `Enricher.key` spells it.
        """
        if column == "event_details" and text.startswith(_NAMING):
            name, _, value = text.partition("=")
            return f"{name}={self.user(value)}"
        if column not in _NOT_MAILBOXES and ("@" in text or "%40" in text):
            text = _MAILBOX.sub(self._mailbox, text)
        if account:
            name = self.pseudonyms.of(Kind.USER, account)
            text = re.sub(rf"(?<![a-z0-9]){re.escape(account)}(?![a-z0-9])", name, text, flags=re.IGNORECASE)
        return text

    def account(self, text: str | None, domain: str | None = None) -> str | None:
        """An account as `Enricher.key` spells it; None for nobody."""
        return None if text is None else self._account(text, domain)

    def _mailbox(self, found: re.Match[str]) -> str:
        return self.pseudonyms.of(Kind.MAIL, found[0].lower().replace("%40", "@"))

    def _account_once(self, text: str, domain: str | None) -> str | None:
        frame = pl.DataFrame({"user_name": [text], "user_domain": [domain]}, schema_overrides=_ONE)
        found: str | None = self._accounts("user_name", frame)[0]
        return found

    def _accounts(self, column: str, frame: pl.DataFrame) -> pl.Series:
        return self._enricher.keys(column, frame)

    def _users(self, given: pl.Series, spelling: pl.Series) -> pl.Series:
        """Pseudonyms of accounts; what is no account is either nothing or hidden."""
        names = self._mapped(spelling, Kind.USER)
        plain = pl.when(given.is_null() | given.is_in(["", MASKED_USER])).then(given).otherwise(pl.lit(MASKED_USER))
        return pl.select(pl.coalesce(pl.lit(names), plain).alias(given.name)).to_series()

    def _replaced(self, given: pl.Series, kind: Kind) -> pl.Series:
        if given.dtype != pl.List(pl.String):
            return self._mapped(given, kind)
        flat = given.explode(keep_nulls=False, empty_as_null=False)
        if flat.is_empty():
            return given
        table = self.pseudonyms.many(kind, flat.unique().to_list())
        replaced = pl.element().replace_strict(list(table), list(table.values()), default=None, return_dtype=pl.String)
        return given.list.eval(replaced)

    def _mapped(self, given: pl.Series, kind: Kind) -> pl.Series:
        table = self.pseudonyms.many(kind, given.unique().to_list())
        if not table:
            return given
        return given.replace_strict(list(table), list(table.values()), default=None, return_dtype=pl.String)

    def _scrubbed(self, given: pl.Series, account: pl.Series | None) -> pl.Series:
        """Only rows that have something to replace are looked at one by one."""
        if given.null_count() == len(given):
            return given
        if given.dtype == pl.List(pl.String):
            own = [None] * len(given) if account is None else account.to_list()
            rows = zip(given.to_list(), own, strict=True)
            lists = [None if texts is None else self._scrub_all(given.name, texts, name) for texts, name in rows]
            return pl.Series(given.name, lists, dtype=given.dtype)
        touched = given.str.contains("@|%40").fill_null(value=False)
        if account is not None and account.null_count() < len(account):
            lowered = given.str.to_lowercase()
            inside = pl.select(lowered.str.contains(pl.lit(account), literal=True)).to_series()
            touched = touched | inside.fill_null(value=False)
        numbers = touched.arg_true()
        if numbers.is_empty():
            return given
        names: Iterable[str | None] = [None] * len(numbers) if account is None else account.gather(numbers).to_list()
        texts = [
            self.scrub(given.name, t, name) for t, name in zip(given.gather(numbers).to_list(), names, strict=True)
        ]
        return given.scatter(numbers, texts)

    def _scrub_all(self, column: str, texts: Iterable[str], account: str | None) -> list[str]:
        return [self.scrub(column, text, account) for text in texts]


_ONE = {"user_name": pl.String, "user_domain": pl.String}
