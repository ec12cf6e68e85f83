"""Bytes of dead letters, sealed where the line is read and opened only for who gives a reason.

AES-256-GCM-SIV (RFC 8452) by `cryptography`: the nonce is made of the letter's id, so that a line that is read twice is
the same bytes; that mode stays safe where a nonce comes again. The id is bound to the bytes: one letter's do not open
as another's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from schemas.errors import CorruptBatchError

NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals under one key.

    Attributes:
        key_id: Written beside what is sealed, so that it is known which key opens it; never empty.
        key: 32 bytes.
    """

    key_id: str
    key: bytes = field(repr=False)

    def seal(self, event_id: str, raw: bytes) -> bytes:
        """The bytes sealed; 16 longer."""
        name = event_id.encode()
        return AESGCMSIV(self.key).encrypt(_nonce(name), raw, name)

    def open(self, event_id: str, sealed: bytes) -> bytes:
        """What was sealed.

        Raises:
            CorruptBatchError: with another key or for another id, or it was changed.
        """
        name = event_id.encode()
        try:
            return AESGCMSIV(self.key).decrypt(_nonce(name), sealed, name)
        except (InvalidTag, ValueError) as error:
            hint = "bring back the keys that it was sealed with"
            raise CorruptBatchError("the line does not open", where=event_id, hint=hint) from error

    def frame(self, letters: pl.DataFrame) -> pl.DataFrame:
        """Dead letters with the bytes sealed of those that are not yet.

        Args:
            letters: Columns of the schema `dead_letter`; `sealed_with` may be missing.
        """
        if "sealed_with" not in letters.columns:
            letters = letters.with_columns(sealed_with=pl.lit(""))
        rows = zip(letters["event_id"], letters["raw"], letters["sealed_with"], strict=True)
        sealed = [raw if by else self.seal(name, raw) for name, raw, by in rows]
        by = pl.when(pl.col("sealed_with") == "").then(pl.lit(self.key_id)).otherwise(pl.col("sealed_with"))
        return letters.with_columns(by.alias("sealed_with"), pl.Series("raw", sealed, dtype=pl.Binary))


def _nonce(name: bytes) -> bytes:
    """Of an id: its last 12 digits are offset and number, what differs within one log."""
    return name[-NONCE_BYTES:].rjust(NONCE_BYTES, b"\0")
