"""Why lines of identity providers and mail and file servers are ignored."""

from __future__ import annotations

from streams.normalisers.reasons import IgnoredReason


class CloudIgnored(IgnoredReason):
    """Reasons of these formats."""

    ADMINISTRATION = "administration"  # a change to accounts, policies or applications, by an administrator or the user
    DOVECOT_OTHER = "dovecot_other"  # mailbox work, delivery, the master process
