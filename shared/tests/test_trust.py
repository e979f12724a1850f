"""A service believes what it was given and has learned, and at last only what identity says."""

from datetime import UTC, datetime, timedelta

import pytest

from pomona.contracts import PERSON_ROLES
from pomona.errors import Unauthenticated
from pomona.identity import Actor, Identities, issue
from pomona.signing import SigningKey, new_private_key
from pomona.trust import believe

OFFICE = Actor("anna", "head_office")
PINNED, LEARNED, NEWEST = (SigningKey(datetime.now(UTC), new_private_key()) for _ in range(3))


def token_of(key):
    return issue(key, OFFICE, timedelta(minutes=5), via="pomona")


def believed(identities, key, token=None):
    try:
        actor = identities.caller("pomona", token or token_of(key), PERSON_ROLES)
    except Unauthenticated:
        return False
    return actor == OFFICE


def document(*keys, revoked=()):
    return {
        "keys": [{"kid": key.kid, "public_key": key.public_pem} for key in keys],
        "revoked": [{"kind": kind, "id": name, "at": at.isoformat()} for kind, name, at in revoked],
    }


@pytest.fixture
def identities():
    return Identities({PINNED.kid: PINNED.public_pem})


def test_what_was_learned_before_counts_beside_what_was_given(identities):
    believe(identities, document(LEARNED), beside={PINNED.kid: PINNED.public_pem})

    assert [believed(identities, key) for key in (PINNED, LEARNED, NEWEST)] == [True, True, False]


def test_from_the_first_answer_on_only_identity_counts(identities):
    assert believed(identities, PINNED)

    believe(identities, document(LEARNED, NEWEST))

    assert [believed(identities, key) for key in (PINNED, LEARNED, NEWEST)] == [False, True, True]


def test_a_revocation_is_believed_from_its_moment_on(identities):
    before = token_of(PINNED)

    believe(identities, document(PINNED, revoked=[("person", "anna", datetime.now(UTC))]))

    assert not believed(identities, PINNED, before)
    assert believed(identities, PINNED)
