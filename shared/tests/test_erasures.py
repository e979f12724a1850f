"""The erasure journal remembers on disk, once each, and notices when it was changed."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from pomona.erasures import Erasure, ErasureJournal, JournalBroken

AT = datetime(2026, 11, 21, 6, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path):
    return ErasureJournal(tmp_path)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "erasures.jsonl"


def test_what_is_written_is_read_again_in_order(journal, tmp_path):
    first, second = uuid4(), uuid4()

    journal.write(first, AT)
    journal.write(second, AT)

    assert ErasureJournal(tmp_path).read() == [Erasure(first, AT), Erasure(second, AT)]


def test_a_person_is_written_down_once(journal):
    person = uuid4()

    journal.write(person, AT)
    journal.write(person, datetime.now(UTC))

    assert journal.read() == [Erasure(person, AT)]


def test_it_holds_ids_and_times_and_is_the_owners_alone(journal, file):
    journal.write(uuid4(), AT)

    assert file.stat().st_mode & 0o777 == 0o600
    assert set(file.read_text().split('"')[1::4]) == {"at", "person_id", "digest"}


def test_a_line_that_a_crash_tore_does_not_count_and_is_written_over(journal, file):
    first, second = uuid4(), uuid4()
    journal.write(first, AT)
    with file.open("ab") as torn:
        torn.write(b'{"at":"2026-11-21T06:00:00+00:00","person_')

    assert journal.read() == [Erasure(first, AT)]
    journal.write(second, AT)

    assert [erasure.person_id for erasure in journal.read()] == [first, second]


@pytest.mark.parametrize("change", ["altered", "removed", "swapped", "not a line"])
def test_a_change_to_what_was_written_is_noticed(journal, file, change):
    for _ in range(3):
        journal.write(uuid4(), AT)
    one, two, three = file.read_text().splitlines()
    lines = {
        "altered": [one, two.replace("2026-11-21", "2026-11-22"), three],
        "removed": [one, three],
        "swapped": [two, one, three],
        "not a line": [one, "[]", three],
    }[change]
    file.write_text("\n".join(lines) + "\n")

    with pytest.raises(JournalBroken, match="line"):
        journal.read()
    with pytest.raises(JournalBroken):
        journal.write(uuid4(), AT)


def test_without_its_folder_nothing_is_read_and_nothing_written(tmp_path):
    journal = ErasureJournal(tmp_path / "not mounted")

    with pytest.raises(JournalBroken, match="mount"):
        journal.read()
    with pytest.raises(JournalBroken, match="mount"):
        journal.write(uuid4(), AT)
