"""A token is believed only when our key signed it, for us, and not too long ago."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from pomona.errors import Unauthenticated
from pomona.identity import REMEMBERED_TOKENS, Actor, Identities, issue


def key_pair():
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


PRIVATE, PUBLIC = key_pair()
STORE, TERMINAL = uuid4(), uuid4()
CASHIER = Actor("cashier-1", "cashier", STORE, TERMINAL)
HOUR = timedelta(hours=1)


def claims(**changes):
    now = datetime.now(UTC)
    made = {
        "sub": "p-1",
        "role": "cashier",
        "aud": "pomona",
        "iat": now,
        "exp": now + HOUR,
        "store": str(STORE),
        **changes,
    }
    return {key: value for key, value in made.items() if value is not ...}


def signed(key=PRIVATE, algorithm="EdDSA", **changes):
    return jwt.encode(claims(**changes), key, algorithm=algorithm)


@pytest.mark.parametrize(
    "actor",
    [
        CASHIER,
        Actor("m", "store_manager", STORE),
        Actor("h", "head_office"),
        Actor("a", "analyst"),
        Actor("service:orders", "service"),
    ],
    ids=lambda actor: actor.role,
)
def test_a_token_names_who_it_was_issued_to(actor):
    identities = Identities(PUBLIC)
    token = issue(PRIVATE, actor, HOUR)

    assert identities.actor(token) == actor
    assert identities.actor(token) == actor


REFUSED = {
    "signed by another key": signed(key=key_pair()[0]),
    "not signed": jwt.encode(claims(), None, algorithm="none"),
    "signed with the public key as a secret": jwt.encode(
        claims(), "not the key but as long as one, so that it may sign", algorithm="HS256"
    ),
    "for somebody else": signed(aud="elsewhere"),
    "for nobody": signed(aud=...),
    "without an end": signed(exp=...),
    "without a person": signed(sub=...),
    "without a role": signed(role=...),
    "with an unknown role": signed(role="owner"),
    "with many roles": signed(role=["cashier", "head_office"]),
    "a cashier without a store": signed(store=...),
    "head office at one store": signed(role="head_office"),
    "with a store that is none": signed(store="1"),
    "with a store that is a number": signed(store=1),
    "with a terminal that is none": signed(terminal="till 3"),
    "expired": signed(exp=datetime.now(UTC) - timedelta(seconds=61)),
    "not yet valid": signed(nbf=datetime.now(UTC) + HOUR),
    "deeply nested": urlsafe_b64encode(b"[" * 60_000).decode() + ".e30.x",
    "no token": "hello",
    "empty": "",
    "bytes": signed().encode(),
    "nothing": None,
    "a number": 5,
    "a surrogate": "\ud800",
}


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED.keys())
def test_a_token_is_refused_that_is(token):
    identities = Identities(PUBLIC)

    for _ in range(2):
        with pytest.raises(Unauthenticated):
            identities.actor(token)


def test_clocks_may_differ_by_a_minute():
    token = signed(exp=datetime.now(UTC) - timedelta(seconds=50))

    assert Identities(PUBLIC).actor(token).id == "p-1"


def test_a_token_that_was_good_is_refused_after_its_end(monkeypatch):
    identities = Identities(PUBLIC)
    token = issue(PRIVATE, CASHIER, HOUR)
    identities.actor(token)

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(hours=1, seconds=61)

    monkeypatch.setattr("pomona.identity.datetime", Later)
    monkeypatch.setattr("jwt.api_jwt.datetime", Later)

    with pytest.raises(Unauthenticated):
        identities.actor(token)


@given(st.data())
def test_a_token_with_one_character_changed_is_refused(data):
    token = issue(PRIVATE, CASHIER, HOUR)
    at = data.draw(st.integers(0, len(token) - 2))
    other = data.draw(st.sampled_from("ABCxyz019-_.").filter(lambda c: c != token[at]))
    forged = token[:at] + other + token[at + 1 :]

    with pytest.raises(Unauthenticated):
        Identities(PUBLIC).actor(forged)


def test_a_role_cannot_be_raised_by_editing_the_claims():
    head, body, signature = issue(PRIVATE, CASHIER, HOUR).split(".")
    said = json.loads(urlsafe_b64decode(body + "=="))
    said |= {"role": "head_office"}
    said.pop("store")
    forged = urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()

    with pytest.raises(Unauthenticated):
        Identities(PUBLIC).actor(f"{head}.{forged}.{signature}")


def test_remembered_tokens_are_bounded():
    identities = Identities(PUBLIC)
    identities._known = {str(n): (CASHIER, 0.0) for n in range(REMEMBERED_TOKENS)}

    identities.actor(issue(PRIVATE, CASHIER, HOUR))

    assert len(identities._known) == 1
