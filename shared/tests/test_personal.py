"""Only a person's own key opens what the person told us."""

from os import urandom
from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidTag

from pomona.personal import PersonKey

TOLD = {"name": "王小明", "phone": "+8613800138000", "birthday": None, "address": "中山路 1 号"}


@pytest.mark.feature("CRM-25")
def test_what_is_sealed_shows_nothing_and_opens_again() -> None:
    key = PersonKey(uuid4(), urandom(32))

    sealed = key.seal(TOLD)

    assert all(text not in str(sealed) for text in TOLD.values() if text)
    assert sealed["birthday"] is None
    assert key.open(sealed) == TOLD


def test_the_same_words_are_sealed_differently_each_time() -> None:
    key = PersonKey(uuid4(), urandom(32))

    assert key.seal({"name": "王小明"}) != key.seal({"name": "王小明"})


def test_another_persons_key_opens_nothing() -> None:
    customer_id = uuid4()
    sealed = PersonKey(customer_id, urandom(32)).seal(TOLD)

    with pytest.raises(InvalidTag):
        PersonKey(customer_id, urandom(32)).open(sealed)


def test_a_sealed_text_cannot_be_moved_to_another_field_or_person() -> None:
    raw = b"k" * 32
    sealed = PersonKey(uuid4(), raw).seal({"name": "王小明", "address": "中山路 1 号"})

    with pytest.raises(InvalidTag):
        PersonKey(uuid4(), raw).open(sealed)
    key = PersonKey(uuid4(), urandom(32))
    name = key.seal({"name": "王小明"})["name"]
    with pytest.raises(InvalidTag):
        key.open({"address": name})
