"""Who is calling: a machine by its broker user, a person by a signed token that it presents."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt

from pomona.contracts import PERSON_ROLES, Role
from pomona.errors import Unauthenticated
from pomona.signing import SigningKey

ALGORITHM = "EdDSA"
AUDIENCE = "pomona"
SKEW = timedelta(seconds=60)
STORE_ROLES: frozenset[Role] = frozenset({"cashier", "store_manager"})
ENROLMENT = "enrolment"
REMEMBERED_TOKENS = 4096

Revoked = Mapping[tuple[str, str], float]
"""When tokens of a ("person" | "terminal" | "session", id) were revoked: a POSIX time."""


@dataclass(frozen=True)
class Actor:
    """Somebody who calls. Cashiers and store managers act for exactly one store."""

    id: str
    role: Role
    store_id: UUID | None = None
    terminal_id: UUID | None = None


@dataclass(frozen=True)
class Claims:
    """What a token says: who it names, and which broker user may present it."""

    actor: Actor
    via: str
    session_id: UUID | None
    issued_at: float
    expires_at: float

    def revoked_by(self, revoked: Revoked) -> bool:
        """Say whether the person, terminal or session was revoked since this was issued."""
        names = (
            ("person", self.actor.id),
            ("terminal", str(self.actor.terminal_id)),
            ("session", str(self.session_id)),
        )
        return any(revoked.get(name, 0.0) >= self.issued_at for name in names)


def issue(
    key: SigningKey,
    actor: Actor,
    valid_for: timedelta,
    *,
    via: str,
    session_id: UUID | None = None,
) -> str:
    """Sign a token for a person, to be presented by one broker user."""
    now = datetime.now(UTC).timestamp()
    claims = {
        "sub": actor.id,
        "role": actor.role,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + valid_for.total_seconds(),
        "jti": str(uuid4()),
        "via": via,
    }
    names = {"store": actor.store_id, "terminal": actor.terminal_id, "session": session_id}
    claims |= {name: str(value) for name, value in names.items() if value is not None}
    return jwt.encode(claims, key.private_pem, algorithm=ALGORITHM, headers={"kid": key.kid})


def read_token(token: object, keys: Mapping[str, str], *, leeway: timedelta = SKEW) -> Claims:
    """Return what a token says that one of the keys signed. Raises `Unauthenticated`."""
    if not isinstance(token, str):
        raise Unauthenticated
    try:
        claims = jwt.decode(
            token,
            keys[jwt.get_unverified_header(token)["kid"]],
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            leeway=leeway,
            options={"require": ["exp", "iat", "sub", "aud", "jti"]},
        )
        store, terminal, session = (
            UUID(claims[name]) if name in claims else None
            for name in ("store", "terminal", "session")
        )
        role, via = claims["role"], claims["via"]
        issued_at, expires_at = float(claims["iat"]), float(claims["exp"])
    except (jwt.InvalidTokenError, KeyError, ValueError, TypeError, AttributeError):
        raise Unauthenticated from None
    if role not in PERSON_ROLES or (role in STORE_ROLES) != (store is not None):
        raise Unauthenticated
    actor = Actor(id=str(claims["sub"]), role=role, store_id=store, terminal_id=terminal)
    return Claims(actor, via, session, issued_at, expires_at)


def machine_of(user_id: str) -> Actor | None:
    """Return which of our machines a broker user is, if any."""
    kind, _, name = user_id.partition("-")
    if kind == "service" and name:
        return Actor(id=f"service:{name}", role="service")
    if user_id == ENROLMENT:
        return Actor(id=ENROLMENT, role="enrolment")
    if kind == "terminal":
        try:
            return Actor(id=f"terminal:{name}", role="terminal", terminal_id=UUID(name))
        except ValueError:
            return None
    return None


class Identities:
    """Tells who calls, by the keys and revocations that are known now.

    Remembers the tokens that it has checked until they expire.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = keys
        self._revoked: Revoked = {}
        self._known: dict[str, Claims] = {}

    def trust(self, keys: Mapping[str, str], revoked: Revoked) -> None:
        """Believe these keys from now on and no others."""
        if keys != self._keys:
            self._known.clear()
        self._keys = keys
        self._revoked = revoked

    def caller(self, user_id: object, token: object, roles: tuple[Role, ...]) -> Actor:
        """Return who calls a method that is open to these roles. Raises `Unauthenticated`.

        The broker vouches for `user_id`. A terminal acts for itself only where terminals may;
        elsewhere, and for everybody else, it is a person that acts, by the token.
        """
        if not isinstance(user_id, str):
            raise Unauthenticated
        machine = machine_of(user_id)
        if machine is not None and (machine.role != "terminal" or "terminal" in roles):
            return machine
        claims = self._claims(token)
        if claims.via != user_id or claims.revoked_by(self._revoked):
            raise Unauthenticated
        return claims.actor

    def _claims(self, token: object) -> Claims:
        known = self._known.get(token) if isinstance(token, str) else None
        if known is not None and datetime.now(UTC).timestamp() < known.expires_at + SKEW.seconds:
            return known
        claims = read_token(token, self._keys)
        if len(self._known) >= REMEMBERED_TOKENS:
            self._known.clear()
        self._known[str(token)] = claims
        return claims
