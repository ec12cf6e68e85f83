"""What Entra ID's error codes mean for a sign-in.

Facts: Microsoft, "Microsoft Entra authentication and authorization error codes" (AADSTS), and "Sign-in logs in
Microsoft Entra ID": a sign-in that waits for something more is *interrupted*: it has a code, and nothing failed.
"""

from __future__ import annotations

from typing import Final

STEPS: Final = frozenset(
    {
        16000, 16001, 16002, 16003,  # an account must be picked
        50058,  # nobody is signed in, and nothing may be asked
        50072, 50074, 50076, 50079,  # a second factor is due, or must be enrolled first
        50078, 50089, 50132, 50133, 50134, 50173, 70043, 70044, 700082, 700084,  # the session is too old: sign in anew
        50097, 50125, 50127, 50129, 50140, 50158, 50187, 50199,  # device, reset, broker, "stay signed in?"
        51006, 65001, 70016, 81010, 81012, 81014, 90072, 90094, 90095, 399218,  # consent, device code, desktop SSO
    }
)  # fmt: skip
"""Interrupted: something more is asked for. No attempt that failed."""

POLICY: Final = frozenset(
    {
        53000, 53001, 53002, 53003, 53004, 53009, 53010, 53011, 530001, 530002, 530003, 530004, 530021, 530031, 530032,
        530034, 530035, 50005, 50105, 50177, 80012, 500011, 500021, 500022,
    }
)  # fmt: skip
"""Known, and turned away: conditional access, hours, tenant restrictions, no role in the application."""

NO_ACCOUNT: Final = frozenset({50034, 51004})
"""There is no such account."""

PASSWORD: Final = frozenset({50034, 50053, 50055, 50056, 50126, 50142, 50144, 80002, 80005, 80007, 80014})
"""A password was sent: wrong, expired, for no account, or for a locked one."""
