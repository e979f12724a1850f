"""Who is calling: signed tokens that name a person or service, a role, a store and a terminal."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt

from pomona.contracts import ROLES, Role
from pomona.errors import Unauthenticated

ALGORITHM = "EdDSA"
AUDIENCE = "pomona"
SKEW = timedelta(seconds=60)
STORE_ROLES: frozenset[Role] = frozenset({"cashier", "store_manager"})
REMEMBERED_TOKENS = 4096


@dataclass(frozen=True)
class Actor:
    """Somebody who calls. Cashiers and store managers act for exactly one store."""

    id: str
    role: Role
    store_id: UUID | None = None
    terminal_id: UUID | None = None


def issue(private_key_pem: bytes, actor: Actor, valid_for: timedelta) -> str:
    """Sign a token for an actor."""
    now = datetime.now(UTC)
    claims = {
        "sub": actor.id,
        "role": actor.role,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + valid_for,
    }
    if actor.store_id is not None:
        claims["store"] = str(actor.store_id)
    if actor.terminal_id is not None:
        claims["terminal"] = str(actor.terminal_id)
    return jwt.encode(claims, private_key_pem, algorithm=ALGORITHM)


class Identities:
    """Checks tokens against a public key and remembers the good ones until they expire."""

    def __init__(self, public_key_pem: bytes) -> None:
        self._key = public_key_pem
        self._known: dict[str, tuple[Actor, float]] = {}

    def actor(self, token: object) -> Actor:
        """Return who the token names. Raises `Unauthenticated`."""
        if not isinstance(token, str):
            raise Unauthenticated
        now = datetime.now(UTC).timestamp()
        known = self._known.get(token)
        if known is not None and now < known[1]:
            return known[0]
        actor, until = self._verified(token)
        if len(self._known) >= REMEMBERED_TOKENS:
            self._known.clear()
        self._known[token] = (actor, until)
        return actor

    def _verified(self, token: str) -> tuple[Actor, float]:
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                leeway=SKEW,
                options={"require": ["exp", "sub", "aud"]},
            )
            role = claims["role"]
            store = UUID(claims["store"]) if "store" in claims else None
            terminal = UUID(claims["terminal"]) if "terminal" in claims else None
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError, AttributeError):
            raise Unauthenticated from None
        if role not in ROLES or (role in STORE_ROLES) != (store is not None):
            raise Unauthenticated
        actor = Actor(id=str(claims["sub"]), role=role, store_id=store, terminal_id=terminal)
        return actor, claims["exp"] + SKEW.total_seconds()
