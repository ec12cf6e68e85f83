"""Derived columns of mail: who is inside, what a message is, and whom it reached."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from agents.context.district import District
from agents.context.handed_in import OUTSIDE, PERSON, RELAYED, from_outside, logins
from agents.context.senders import names_of, sender_of
from agents.context.subjects import ANSWER, FEW_OUTSIDE
from agents.engine.lookups import looked_up
from agents.rules.model import VALUE_SEPARATOR

HOUR_US = 3_600_000_000
DELIVERED = "sent"  # Postfix's word for a delivery that succeeded; deferred and bounced are none (yet)
NO_LIST = "*"  # in `email_lists`: somebody was written to without a list
_VALUES = ("delivered_recipients", "mailed_recipients")
_COUNTED = (*_VALUES, "recipients_internal", "recipients_outside")
_PARALLEL = ("email_to_status", "email_to_filter")
_BEHIND = pl.Schema({"_recipient": pl.String(), "_behind": pl.List(pl.String)})
SENT = "_sent"  # column of what `who_sent` says
_SENT = pl.Schema({"address": pl.String, "account": pl.String, "logged_in": pl.Boolean, "relayed": pl.Boolean})
_OWN = pl.Schema({"_sender": pl.String, "_to": pl.String, "_own": pl.Boolean})


def internal_address(address: pl.Expr, district: District) -> pl.Expr:
    """True for addresses of the district, its sub-domains included, and for local ones without a domain.

    The empty address (the null sender) is neither: false. Null stays null.
    """
    domain = address.str.to_lowercase().str.extract(r"@([^@]*?)\.?$")
    inside = domain.is_in(list(district.domains))
    for d in district.domains:
        inside = inside | domain.str.ends_with(f".{d}")
    return pl.when(domain.is_null()).then(address != "").otherwise(inside)


def message_key() -> pl.Expr:
    """What tells messages apart: the Message-ID; without one the queue id with its host and sender.

    Copies that are queued again keep their Message-ID, so they are one message.
    """
    host = pl.col("observer_hostname").fill_null("")
    sender = pl.col("email_from_address").fill_null("")
    queue = pl.concat_str([host, pl.col("email_local_id"), sender], separator=" ", ignore_nulls=False)
    identifier = pl.when(pl.col("email_message_id") != "").then(pl.col("email_message_id"))
    return _clean(pl.coalesce(identifier, queue, pl.col("event_id")))


def reply() -> pl.Expr:
    """True for a message whose subject says that it answers another; null where logs keep no subject."""
    return pl.col("email_subject").str.contains(ANSWER)


def mail_columns(frame: pl.DataFrame, wanted: Sequence[str], district: District) -> pl.DataFrame:
    """The frame with the derived mail columns named (see `agents.rules.columns.DERIVED`)."""
    if any(w.startswith("sender_") or w in _COUNTED for w in wanted):
        frame = with_senders(frame, district)
    frame = _sender_columns(frame, [w for w in wanted if w.startswith("sender_")], district)
    if "message_key" in wanted:
        frame = frame.with_columns(message_key=message_key())
    if "email_lists" in wanted:
        frame = frame.with_columns(email_lists=_lists(frame, district))
    if "email_reply" in wanted:
        frame = frame.with_columns(email_reply=reply())
    counted = [w for w in wanted if w in _COUNTED]
    if not counted:
        return frame
    reached = _deliveries(frame, district)
    indexed = frame.drop(counted, strict=False).with_row_index("_mail")
    return (
        indexed.join(reached.select("_mail", *counted), on="_mail", how="left", maintain_order="left")
        .drop("_mail")
        .with_columns(pl.col(c).fill_null([] if c in _VALUES else 0) for c in counted)
    )


def senders(frame: pl.DataFrame, district: District) -> pl.Series:
    """Address of who sent each message, as `sender_of` spells it; null where nothing says who did."""
    return who_sent(frame, district)["address"]


def with_senders(frame: pl.DataFrame, district: District) -> pl.DataFrame:
    """The frame with what `who_sent` says, for whoever asks that of it or of a part of it."""
    return frame if SENT in frame.columns else frame.with_columns(who_sent(frame, district).to_struct(SENT))


def who_sent(frame: pl.DataFrame, district: District) -> pl.DataFrame:
    """`agents.context.senders.Sender` of each message, a column for each of what it says; its address null for none.

    Beside them `outside`: see `from_outside`.
    """
    if SENT in frame.columns:
        return frame.select(SENT).unnest(SENT)
    login = logins(frame, district)
    pairs = frame.select("email_from_address").with_columns(login=login)
    distinct = pairs.unique()
    found = [sender_of(district, envelope, login) for envelope, login in distinct.iter_rows()]
    said = [(one.address or None, one.account, one.logged_in, one.relayed) for one in found]
    known = distinct.hstack(pl.DataFrame(said, _SENT, orient="row"))
    joined = pairs.join(known, on=pairs.columns, how="left", nulls_equal=True, maintain_order="left")
    return joined.select(*_SENT.names(), outside=from_outside(frame, district, login))


def _sender_columns(frame: pl.DataFrame, wanted: Sequence[str], district: District) -> pl.DataFrame:
    if not wanted:
        return frame
    sent = who_sent(frame, district)
    sender = sent["address"]
    inside = internal_address(pl.col("s"), district).fill_null(value=False)
    made = {
        "sender_address": lambda: sender,
        "sender_internal": lambda: sender.to_frame("s").select(inside).to_series(),
        "sender_kind": lambda: _sender_kind(sent, district),
    }
    return frame.with_columns(made[name]().alias(name) for name in wanted)


def _sender_kind(sent: pl.DataFrame, district: District) -> pl.Series:
    """What sends, for senders of the district; `outside` where somebody outside gave such an address as theirs.

    Where a service gave it, and it is no service's or list's, nobody knows whether that person wrote: `relayed`.
    """
    kind = looked_up(sent["address"], district.sender_kind)
    made = pl.DataFrame({"kind": kind, "outside": sent["outside"], "relayed": sent["relayed"]})
    forged = pl.col("kind").is_not_null() & pl.col("outside")
    relayed = (pl.col("kind") == PERSON) & pl.col("relayed")
    told = pl.when(forged).then(pl.lit(OUTSIDE)).when(relayed).then(pl.lit(RELAYED)).otherwise("kind")
    return made.select(sender_kind=told).to_series()


def _lists(frame: pl.DataFrame, district: District) -> pl.Series:
    """Lists that were written to, one space between; null for none.

    An address is one where the district says so, whether it was expanded or stands there itself, or where it stands for
    several recipients of the message. Behind them stands `NO_LIST` where others were written to as well, by their own
    address or the alias of one person.
    """
    known = list(district.lists.lists)
    columns = ("email_to_address", "email_to_original_address")
    places = pl.int_ranges(0, pl.col("email_to_address").list.len())
    by = pl.when((pl.col("_by") != "") & ((pl.len().over("_mail", "_by") > 1) | pl.col("_by").is_in(known))).then("_by")
    expanded = pl.col(columns[1]).list.eval(pl.element() != "").list.any()
    itself = pl.col(columns[0]).list.eval(pl.element().str.to_lowercase().is_in(known)).list.any()
    found = (
        frame.select(columns[0], pl.col(columns[1]).list.gather(places, null_on_oob=True))
        .with_row_index("_mail")
        .filter(expanded | itself)
        .explode(columns)
        .select("_mail", _to=pl.col(columns[0]).str.to_lowercase(), _by=pl.col(columns[1]).str.to_lowercase())
        .with_columns(_list=pl.coalesce(by, pl.when(pl.col("_to").is_in(known)).then("_to")))
        .group_by("_mail")
        .agg(lists=pl.col("_list").drop_nulls().unique().sort().str.join(" "), others=pl.col("_list").is_null().any())
        .filter(pl.col("lists") != "")
        .with_columns(pl.col("lists") + pl.when("others").then(pl.lit(f" {NO_LIST}")).otherwise(pl.lit("")))
    )
    rows = frame.select(pl.row_index("_mail"))
    return rows.join(found, on="_mail", how="left", maintain_order="left")["lists"]


def _deliveries(frame: pl.DataFrame, district: District) -> pl.DataFrame:
    """Rows with at least one delivery to a person: `_mail` (row number), values and counts.

    A value is class, message and recipient, joined by `VALUE_SEPARATOR`. A recipient is who it was in the end, after
    lists were expanded, in lower case; a list whose members are not shown is as many as it has, `staff#1@x` and so on.
    What went by a list of the sender's own, or to its members, has no value. A hand-over to a content filter reaches
    nobody yet. The class is `internal` or `outside`; `slow` for a message that took an hour and more from its first
    line to its last (it waited for one bad address, say): nobody knows which hour its deliveries belong to, so they
    count for the message alone.

    `mailed_recipients` are the same, but of an answer that reaches few outside only those, each once for all answers.
    """
    places = pl.int_ranges(0, pl.col("email_to_address").list.len())
    # A list that is shorter than the recipients' would make a whole batch fail: what it lacks is taken as not said.
    names = (*_PARALLEL, "email_to_original_address") if district.lists else _PARALLEL
    parallel = [pl.col(c).list.gather(places, null_on_oob=True) for c in names]
    sender = senders(frame, district) if district.lists else pl.lit(None, dtype=pl.String)
    reached = (
        frame.select("email_to_address", *parallel, _sender=sender, _key=message_key(), _slow=_slow(), _reply=reply())
        .with_row_index("_mail")
        .filter(pl.col("email_to_address").list.len() > 0)
        .explode("email_to_address", *names)
        .filter(
            (pl.col("email_to_status") == DELIVERED)
            & ~pl.col("email_to_filter").fill_null(value=False)
            & (pl.col("email_to_address") != "")
        )
        .with_columns(_clean(pl.col("email_to_address").str.to_lowercase()))
        .with_columns(_recipient=pl.col("email_to_address"), _own=pl.lit(value=False))
    )
    reached = _through_lists(reached, district) if district.lists else reached
    sort = pl.when("_slow").then(pl.lit("slow")).when("_inside").then(pl.lit("internal")).otherwise(pl.lit("outside"))
    value = pl.concat_str([sort, "_key", "_recipient"], separator=VALUE_SEPARATOR)
    return (
        reached.unique(["_mail", "_recipient"], keep="first", maintain_order=True)
        .with_columns(_inside=internal_address(pl.col("_recipient"), district))
        .with_columns(_value=pl.when(~pl.col("_own")).then(value))
        .with_columns(_mailed=_mailed(sort))
        .group_by("_mail", maintain_order=True)
        .agg(
            delivered_recipients=pl.col("_value").drop_nulls(),
            mailed_recipients=pl.col("_mailed").drop_nulls(),
            recipients_internal=pl.col("_inside").sum().cast(pl.Int64),
            recipients_outside=(~pl.col("_inside")).sum().cast(pl.Int64),
        )
    )


def _mailed(sort: pl.Expr) -> pl.Expr:
    """`_value`; of an answer that reaches few outside only these, the recipient in place of the message."""
    answers = pl.col("_reply").fill_null(value=False) & ((~pl.col("_inside")).sum().over("_mail") < FEW_OUTSIDE)
    once = pl.concat_str([sort, "_recipient", "_recipient"], separator=VALUE_SEPARATOR)
    return pl.when(answers).then(pl.when(~pl.col("_own") & ~pl.col("_inside")).then(once)).otherwise("_value")


def _through_lists(reached: pl.DataFrame, district: District) -> pl.DataFrame:
    """Deliveries with `_own` for those by, or to members of, lists of the sender's own; unseen members one by one.

    A list through which anybody was reached in the same message was expanded: its own address is no more than that.
    """
    known, opened = district.lists.lists, district.lists.behind
    written = pl.col("email_to_original_address").str.to_lowercase()
    by = pl.when(written.is_in(list(known))).then(written)
    reached = reached.drop("_own").with_columns(
        _list=by.when(pl.col("_recipient").is_in(list(known))).then("_recipient")
    )
    shown = pl.col("_list").eq(pl.col("_recipient")).all().over("_mail", "_list")
    met = [a for a in reached["_recipient"].unique().to_list() if opened(a)]
    behind = pl.DataFrame({"_recipient": met, "_behind": [list(opened(a)) for a in met]}, _BEHIND)
    owned = {
        sender: district.lists.of_owner(names_of(district, sender))
        for sender in reached["_sender"].drop_nulls().unique().to_list()
    }
    pairs = {(sender, a) for sender, some in owned.items() for one in some for a in (one.address, *opened(one.address))}
    own = pl.DataFrame([(sender, to, True) for sender, to in pairs], _OWN, orient="row")
    return (
        reached.join(behind, on="_recipient", how="left", maintain_order="left")
        .with_columns(_behind=pl.when(shown).then("_behind"))
        .explode("_behind")
        .with_columns(_recipient=pl.coalesce("_behind", "_recipient"))
        .join(own.rename({"_own": "_by"}), left_on=["_sender", "_list"], right_on=["_sender", "_to"], how="left",
              maintain_order="left")
        .join(own, left_on=["_sender", "_recipient"], right_on=["_sender", "_to"], how="left", maintain_order="left")
        .with_columns(_own=(pl.col("_by").fill_null(value=False) | pl.col("_own").fill_null(value=False))
                      .any().over("_mail", "_recipient"))
    )  # fmt: skip


def _slow() -> pl.Expr:
    took = pl.col("timestamp").dt.timestamp("us") - pl.col("timestamp_first").dt.timestamp("us")
    return (took >= HOUR_US).fill_null(value=False)


def _clean(text: pl.Expr) -> pl.Expr:
    """Without the separator: an address that contains it must not shift the parts of a value."""
    return text.str.replace_all(VALUE_SEPARATOR, "", literal=True)
