"""A new key is known to everybody before it signs, and an old one goes when it is told to."""

from datetime import UTC, datetime, timedelta

from pomona.signing import forget_keys, keys_in, kid_of, make_key, public_keys_of, signer_of

NOW = datetime(2026, 11, 21, 3, 10, tzinfo=UTC)


def test_a_new_key_signs_a_minute_after_it_was_made(tmp_path):
    make_key(tmp_path, NOW - timedelta(days=90))
    make_key(tmp_path, NOW)
    old, new = keys_in(tmp_path)

    assert signer_of((old, new), NOW + timedelta(seconds=59)) == old
    assert signer_of((old, new), NOW + timedelta(seconds=60)) == new


def test_the_first_key_of_all_signs_at_once(tmp_path):
    make_key(tmp_path, NOW)
    (first,) = keys_in(tmp_path)

    assert signer_of((first,), NOW) == first


def test_only_its_owner_reads_a_key(tmp_path):
    make_key(tmp_path, NOW)

    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_keys_are_forgotten_by_age(tmp_path):
    for days in (90, 30, 0):
        make_key(tmp_path, NOW - timedelta(days=days))
    before = keys_in(tmp_path)

    forget_keys(tmp_path, before[1].made_at)

    assert keys_in(tmp_path) == before[1:]


def test_public_keys_stand_in_one_text_under_ids_that_follow_from_them(tmp_path):
    make_key(tmp_path, NOW - timedelta(days=1))
    make_key(tmp_path, NOW)
    keys = keys_in(tmp_path)

    pinned = public_keys_of("".join(key.public_pem for key in keys))

    assert pinned == {key.kid: key.public_pem for key in keys}
    assert [kid_of(pem) for pem in pinned.values()] == [*pinned]
    assert public_keys_of("") == {}
