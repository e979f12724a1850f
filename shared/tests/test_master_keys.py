"""The newest master key wraps, every one unwraps, and what a removed one wrapped is gone."""

import pytest
from cryptography.exceptions import InvalidTag

from pomona.master_keys import MasterKeyMissing, MasterKeys

KEY = b"k" * 32


@pytest.fixture
def masters(tmp_path):
    masters = MasterKeys(tmp_path)
    masters.make()
    return masters


def test_a_key_that_is_added_while_we_run_wraps_from_then_on(masters, tmp_path):
    before, wrapped = masters.wrap(KEY, "anna")

    MasterKeys(tmp_path).make()

    after, _ = masters.wrap(KEY, "anna")
    assert (before, after) == ("0001", "0002")
    assert masters.unwrap(before, wrapped, "anna") == KEY


def test_a_wrapped_key_opens_for_its_owner_only(masters):
    name, wrapped = masters.wrap(KEY, "anna")

    assert KEY not in wrapped
    with pytest.raises(InvalidTag):
        masters.unwrap(name, wrapped, "ben")


def test_what_a_removed_master_key_wrapped_is_gone(masters):
    name, wrapped = masters.wrap(KEY, "anna")

    masters.remove(name)

    with pytest.raises(MasterKeyMissing, match="0001"):
        masters.unwrap(name, wrapped, "anna")


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(MasterKeyMissing, match="put it there"):
        MasterKeys(tmp_path).wrap(KEY, "anna")


def test_a_master_key_is_the_owners_alone(masters, tmp_path):
    assert (tmp_path / "0001.key").stat().st_mode & 0o777 == 0o600
