"""A caller is believed only as far as the broker and one of identity's own keys vouch for them."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pomona.contracts import PERSON_ROLES
from pomona.errors import Unauthenticated
from pomona.identity import REMEMBERED_TOKENS, Actor, Identities, issue, read_token
from pomona.signing import SigningKey, new_private_key

KEY = SigningKey(datetime.now(UTC), new_private_key())
OTHER_KEY = SigningKey(datetime.now(UTC), new_private_key())
KEYS = {KEY.kid: KEY.public_pem}
STORE, TERMINAL = UUID(int=1), UUID(int=2)
TILL = f"terminal-{TERMINAL}"
CASHIER = Actor("cashier-1", "cashier", STORE, TERMINAL)
HOUR = timedelta(hours=1)
TOKEN = issue(KEY, CASHIER, HOUR, via=TILL)


def claims(**changes):
    now = datetime.now(UTC)
    made = {
        "sub": "p-1",
        "role": "cashier",
        "aud": "pomona",
        "iat": now,
        "exp": now + HOUR,
        "jti": "1",
        "via": TILL,
        "store": str(STORE),
        **changes,
    }
    return {key: value for key, value in made.items() if value is not ...}


def signed(key=KEY, kid=KEY.kid, algorithm="EdDSA", **changes):
    return jwt.encode(claims(**changes), key.private_pem, algorithm=algorithm, headers={"kid": kid})


def caller(token, identities=None, via=TILL):
    return (identities or Identities(KEYS)).caller(via, token, PERSON_ROLES)


@pytest.mark.parametrize(
    "actor",
    [
        CASHIER,
        Actor("m", "store_manager", STORE),
        Actor("h", "head_office"),
        Actor("a", "analyst"),
    ],
    ids=lambda actor: actor.role,
)
def test_a_token_names_who_it_was_issued_to(actor):
    identities = Identities(KEYS)
    token = issue(KEY, actor, HOUR, via=TILL)

    assert caller(token, identities) == actor
    assert caller(token, identities) == actor


def hmac_signed(told, key):
    """Sign with the public key as the secret, which PyJWT itself refuses to do."""
    head, body = (
        urlsafe_b64encode(json.dumps(part, default=datetime.timestamp).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT", "kid": key.kid}, told)
    )
    signature = hmac.digest(key.public_pem.encode(), head + b"." + body, "sha256")
    return b".".join((head, body, urlsafe_b64encode(signature).rstrip(b"="))).decode()


REFUSED = {
    "signed by another key": signed(key=OTHER_KEY),
    "signed by another key that says so": signed(key=OTHER_KEY, kid=OTHER_KEY.kid),
    "by a key without a name": jwt.encode(claims(), KEY.private_pem, algorithm="EdDSA"),
    "by a key that is none": signed(kid="../identity"),
    "not signed": jwt.encode(claims(), None, algorithm="none", headers={"kid": KEY.kid}),
    "signed with the public key as a secret": hmac_signed(claims(), KEY),
    "for somebody else": signed(aud="elsewhere"),
    "for nobody": signed(aud=...),
    "without an end": signed(exp=...),
    "without a beginning": signed(iat=...),
    "without a number": signed(jti=...),
    "without a person": signed(sub=...),
    "without a broker user": signed(via=...),
    "of another terminal": signed(via=f"terminal-{uuid4()}"),
    "of the operator": signed(via="pomona"),
    "without a role": signed(role=...),
    "with an unknown role": signed(role="owner"),
    "with a service's role": signed(role="service", store=...),
    "with a terminal's role": signed(role="terminal", store=...),
    "with many roles": signed(role=["cashier", "head_office"]),
    "a cashier without a store": signed(store=...),
    "head office at one store": signed(role="head_office"),
    "with a store that is none": signed(store="1"),
    "with a store that is a number": signed(store=1),
    "with a terminal that is none": signed(terminal="till 3"),
    "with a session that is none": signed(session="today"),
    "expired": signed(exp=datetime.now(UTC) - timedelta(seconds=61)),
    "issued in the future": signed(iat=datetime.now(UTC) + HOUR),
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
    identities = Identities(KEYS)

    for _ in range(2):
        with pytest.raises(Unauthenticated):
            caller(token, identities)


def test_a_good_token_is_refused_from_another_terminal():
    identities = Identities(KEYS)
    token = issue(KEY, CASHIER, HOUR, via=TILL)
    assert caller(token, identities) == CASHIER

    for user in (f"terminal-{uuid4()}", "pomona", "", None):
        with pytest.raises(Unauthenticated):
            caller(token, identities, via=user)


@pytest.mark.parametrize(
    ("user", "role"),
    [("service-orders", "service"), ("enrolment", "enrolment"), (TILL, "terminal")],
)
def test_a_machine_is_who_the_broker_says_whatever_token_it_shows(user, role):
    token = issue(KEY, Actor("h", "head_office"), HOUR, via=user)

    actor = Identities(KEYS).caller(user, token, ("head_office", role))

    assert actor.role == role


@pytest.mark.parametrize("user", ["service", "service-", "terminal-", "terminal-1", "guest", ""])
def test_a_broker_user_that_is_no_machine_of_ours_needs_a_token(user):
    with pytest.raises(Unauthenticated):
        Identities(KEYS).caller(user, None, ("service", "terminal"))


def test_a_terminal_at_which_nobody_is_logged_in_may_do_nothing_for_people():
    with pytest.raises(Unauthenticated):
        caller(None)


@pytest.mark.parametrize("kind", ["person", "terminal", "session"])
def test_what_was_revoked_is_refused_and_what_was_issued_later_is_not(kind):
    identities, session = Identities(KEYS), uuid4()
    before = issue(KEY, CASHIER, HOUR, via=TILL, session_id=session)
    assert caller(before, identities) == CASHIER
    revoked = {"person": "cashier-1", "terminal": str(TERMINAL), "session": str(session)}

    identities.trust(KEYS, {(kind, revoked[kind]): datetime.now(UTC).timestamp()})

    with pytest.raises(Unauthenticated):
        caller(before, identities)
    assert caller(issue(KEY, CASHIER, HOUR, via=TILL, session_id=session), identities)


def test_a_revocation_concerns_nobody_else():
    identities = Identities(KEYS)
    now = datetime.now(UTC).timestamp()
    identities.trust(KEYS, {("person", "cashier-2"): now + 1, ("session", "None"): 0.0})

    assert caller(issue(KEY, CASHIER, HOUR, via=TILL), identities) == CASHIER


def test_while_keys_change_both_are_believed_and_then_only_the_new_one():
    identities = Identities(KEYS)
    old, new = (issue(key, CASHIER, HOUR, via=TILL) for key in (KEY, OTHER_KEY))
    both = {key.kid: key.public_pem for key in (KEY, OTHER_KEY)}

    identities.trust(both, {})
    assert caller(old, identities) == caller(new, identities) == CASHIER

    identities.trust({OTHER_KEY.kid: OTHER_KEY.public_pem}, {})
    assert caller(new, identities) == CASHIER
    with pytest.raises(Unauthenticated):
        caller(old, identities)


def test_clocks_may_differ_by_a_minute():
    token = signed(exp=datetime.now(UTC) - timedelta(seconds=50))

    assert caller(token).id == "p-1"


def test_a_token_that_was_good_is_refused_after_its_end(monkeypatch):
    identities = Identities(KEYS)
    token = issue(KEY, CASHIER, HOUR, via=TILL)
    caller(token, identities)

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(hours=1, seconds=61)

    monkeypatch.setattr("pomona.identity.datetime", Later)
    monkeypatch.setattr("jwt.api_jwt.datetime", Later)

    with pytest.raises(Unauthenticated):
        caller(token, identities)


@given(st.data())
def test_a_token_with_one_character_changed_is_refused(data):
    at = data.draw(st.integers(0, len(TOKEN) - 2))
    other = data.draw(st.sampled_from("ABCxyz019-_.").filter(lambda c: c != TOKEN[at]))
    forged = TOKEN[:at] + other + TOKEN[at + 1 :]

    with pytest.raises(Unauthenticated):
        caller(forged)


def test_a_role_cannot_be_raised_by_editing_the_claims():
    head, body, signature = issue(KEY, CASHIER, HOUR, via=TILL).split(".")
    said = json.loads(urlsafe_b64decode(body + "=="))
    said |= {"role": "head_office"}
    said.pop("store")
    forged = urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()

    with pytest.raises(Unauthenticated):
        caller(f"{head}.{forged}.{signature}")


def test_remembered_tokens_are_bounded():
    identities = Identities(KEYS)
    claims = read_token(signed(), KEYS)
    identities._known = {str(n): claims for n in range(REMEMBERED_TOKENS)}

    caller(issue(KEY, CASHIER, HOUR, via=TILL), identities)

    assert len(identities._known) == 1
