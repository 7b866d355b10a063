"""Keys of the service's clients: made once, shown once, kept as hashes, checked in constant time.

A key's text is ``krl_<id>_<secret>``. The id (12 hex digits) is no secret and names the key in lists and logs; of the
secret (32 random bytes in URL-safe base64, 43 characters) only its SHA-256 is stored: so much randomness cannot be
guessed from a hash, however fast the hash is.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import Connection, Row, select, update

from include.kreislauf.errors import KreislaufError, StoreError
from include.kreislauf.store.database import insert_once
from include.kreislauf.store.schema import api_keys

PREFIX = "krl_"
TEXT = re.compile(r"krl_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", re.ASCII)
_ID = slice(4, 16)
_SECRET = slice(17, None)
_DUMMY = sha256(secrets.token_bytes(32)).digest()
"""What the secret of an unknown id is compared with, so that time does not tell which ids exist."""


class Scope(StrEnum):
    """What a key is good for."""

    PREDICT = "predict"
    OUTCOME = "outcome"
    METRICS = "metrics"
    ADMIN = "admin"  # includes every other


class Refusal(StrEnum):
    """Why a key is refused."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REVOKED = "revoked"
    WRONG_SCOPE = "wrong_scope"
    WRONG_USE_CASE = "wrong_use_case"


class KeyRefused(KreislaufError):
    """A request's key does not allow what it asks for; the message never repeats the key.

    Parameters
    ----------
    kind: why.
    """

    def __init__(self, kind: Refusal, what: str, *, allowed: str = "", next_step: str = "") -> None:
        self.kind = kind
        super().__init__(what, allowed=allowed, next_step=next_step)


@dataclass(frozen=True)
class KeyRow:
    """A key as the store knows it.

    Parameters
    ----------
    hash: SHA-256 of the secret, in hex.
    use_case: the only one it is good for; ``None``: all.
    expires_at: from then on it is refused; ``None``: never.
    """

    id: str
    name: str
    hash: str = field(repr=False)
    scopes: frozenset[Scope]
    use_case: str | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None

    def state(self, now: datetime) -> str:
        """``good``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return Refusal.REVOKED
        return Refusal.EXPIRED if self.expires_at is not None and self.expires_at <= now else "good"


class KeyRing:
    """All keys as they were at one moment; a snapshot that never changes.

    Parameters
    ----------
    rows: every key that was ever made, revoked ones too.
    """

    def __init__(self, rows: Iterable[KeyRow]) -> None:
        self._keys = {row.id.encode(): (bytes.fromhex(row.hash), row) for row in rows}

    @property
    def empty(self) -> bool:
        """Whether no key was ever made."""
        return not self._keys

    def check(self, text: bytes | str | None, scope: Scope, use_case: str | None, now: datetime) -> KeyRow:
        """The key of a request, if it allows what the request asks for.

        Parameters
        ----------
        text: the key as it was sent; ``None`` or empty: none was sent.
        use_case: that the request is about; ``None``: all of them, which a key of one use case does not allow.

        Raises
        ------
        KeyRefused: with the reason. Only who knows the secret learns more than that the key is unknown.
        """
        if not text:
            raise KeyRefused(Refusal.MISSING, "an API key is required", next_step=_ASK)
        sent = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        digest, row = self._keys.get(sent[_ID], (_DUMMY, None))
        same = hmac.compare_digest(sha256(sent[_SECRET]).digest(), digest)
        if row is None or not same or sent[:4] != b"krl_" or sent[16:17] != b"_":
            raise KeyRefused(Refusal.UNKNOWN, "the API key is not known", next_step=_ASK)
        if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
            raise _over(row)
        if scope not in row.scopes and Scope.ADMIN not in row.scopes:
            raise KeyRefused(
                Refusal.WRONG_SCOPE, f"API key {row.id} does not have the scope '{scope}'",
                allowed=_joined(row.scopes), next_step=_ASK,
            )  # fmt: skip
        if row.use_case is not None and row.use_case != use_case:
            raise KeyRefused(
                Refusal.WRONG_USE_CASE, f"API key {row.id} is good for one use case only",
                allowed=row.use_case, next_step=_ASK,
            )  # fmt: skip
        return row


def load_ring(db: Connection) -> KeyRing:
    """The keys as they are now."""
    return KeyRing(list_keys(db))


def list_keys(db: Connection) -> list[KeyRow]:
    """Every key that was ever made, oldest first."""
    return [_key(row) for row in db.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id))]


def new_text() -> str:
    """The text of a new key."""
    return f"{PREFIX}{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def create_key(
    db: Connection, name: str, scopes: Collection[Scope], by: str, now: datetime, *,
    expires_at: datetime | None = None, use_case: str | None = None, text: str | None = None,
) -> tuple[KeyRow, str]:  # fmt: skip
    """Make a key; returns its row and its text, which cannot be had again.

    Parameters
    ----------
    text: of a key that was made elsewhere. Giving it once more with the same name, scopes and use case
        changes nothing, so that each start of a deployment may do it.

    Raises
    ------
    StoreError: a field is not allowed, the text is no key's, or its id is taken by a key that differs or is over.
    """
    _check_fields(name, scopes, by, use_case)
    if expires_at is not None and expires_at <= now:
        raise StoreError(f"the key would expire at {expires_at:%Y-%m-%d %H:%M}", allowed="a time to come")
    text = text if text is not None else new_text()
    if not TEXT.fullmatch(text):
        raise StoreError(
            "the text is not that of a key", allowed="krl_, 12 hex digits, _, 43 characters of URL-safe base64",
            next_step="let `keys create` make one",
        )  # fmt: skip
    row = KeyRow(
        text[_ID], name, sha256(text[_SECRET].encode()).hexdigest(), frozenset(scopes), use_case, now, by,
        expires_at, None,
    )  # fmt: skip
    if insert_once(db, api_keys, {**vars(row), "scopes": ",".join(sorted(scopes))}):
        return row, text
    return _same(db, row), text


def revoke(db: Connection, key_id: str, now: datetime) -> KeyRow:
    """Take a key out of use for good; one that is revoked already stays so since the first time.

    Raises
    ------
    StoreError: no key has this id.
    """
    where = (api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
    db.execute(update(api_keys).where(*where).values(revoked_at=now))
    found = _find(db, key_id)
    if found is None:
        raise StoreError(
            "no API key has this id", allowed="the 12 hex digits after krl_",
            next_step="look it up: python -m include.kreislauf keys list",
        )  # fmt: skip
    return found


_ASK = "ask who runs the service for a key: python -m include.kreislauf keys create"


def _over(row: KeyRow) -> KeyRefused:
    if row.revoked_at is not None:
        return KeyRefused(
            Refusal.REVOKED, f"API key {row.id} was revoked at {row.revoked_at:%Y-%m-%d %H:%M} UTC", next_step=_ASK
        )  # fmt: skip
    return KeyRefused(
        Refusal.EXPIRED, f"API key {row.id} expired at {row.expires_at:%Y-%m-%d %H:%M} UTC", next_step=_ASK
    )


def _check_fields(name: str, scopes: Collection[Scope], by: str, use_case: str | None) -> None:
    lengths = {"name": (name, 128), "by": (by, 128), **({"use case": (use_case, 64)} if use_case is not None else {})}  # fmt: skip
    for field_name, (value, longest) in lengths.items():
        if not 1 <= len(value.strip()) <= len(value) <= longest or not value.isprintable():
            raise StoreError(
                f"a key's {field_name} is {value[:longest]!r}", allowed=f"1 to {longest} printable characters"
            )
    if not scopes:
        raise StoreError("a key without scopes is good for nothing", allowed=_joined(Scope))


def _same(db: Connection, row: KeyRow) -> KeyRow:
    found = _find(db, row.id)
    if (
        found is None
        or not hmac.compare_digest(found.hash, row.hash)
        or (found.name, found.scopes, found.use_case) != (row.name, row.scopes, row.use_case)
        or found.state(row.created_at) != "good"
    ):
        raise StoreError(
            f"key {row.id} exists, and differs or is no longer good", next_step="make another key"
        )
    return found


def _find(db: Connection, key_id: str) -> KeyRow | None:
    row = db.execute(select(api_keys).where(api_keys.c.id == key_id)).first()
    return _key(row) if row else None


def _key(row: Row[tuple[object, ...]]) -> KeyRow:
    return KeyRow(**{**row._mapping, "scopes": frozenset(map(Scope, row.scopes.split(",")))})


def _joined(scopes: Iterable[Scope]) -> str:
    return ", ".join(sorted(scopes))
