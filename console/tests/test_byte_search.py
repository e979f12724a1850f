"""Words are found however they are spelled and encoded, and wherever they lie in a file."""

import base64
import gzip
import json

import pytest

from pomona_console import byte_search
from pomona_console.byte_search import Needles, Search

PHONE, NAME = "+8613800138000", "王小明"
WORDS = {"phone": PHONE, "name": NAME}


def found_in(folder):
    search = Search(Needles.of(WORDS))
    search.files("here", folder)
    return {name for _, name in search.found}


@pytest.mark.parametrize(
    "text",
    ["13800138000", "138 0013 8000", "138-0013-8000", "+8613800138000", "tel:8613800138000!"],
)
def test_a_phone_is_found_however_it_was_typed(tmp_path, text):
    (tmp_path / "log").write_text(f"before {text} after")

    assert found_in(tmp_path) == {"phone"}


@pytest.mark.parametrize(
    "raw",
    [
        NAME.encode(),
        json.dumps(NAME).encode(),
        json.dumps(NAME).upper().replace("\\U", "\\u").encode(),
        NAME.encode().hex().encode(),
        base64.b64encode(NAME.encode()),
        base64.b64encode(b"x" + NAME.encode() + b"yz"),
        base64.b64encode(b"xy" + NAME.encode() + b"z"),
    ],
)
def test_a_name_is_found_however_it_is_encoded(tmp_path, raw):
    (tmp_path / "page").write_bytes(b"\0\1" + raw + b"\xff")

    assert found_in(tmp_path) == {"name"}


def test_a_word_across_two_pieces_of_a_file_is_found_once(tmp_path, monkeypatch):
    (tmp_path / "wal").write_bytes(b"-" * 61 + NAME.encode() + b"-" * 100)
    for size in range(8, 70):
        monkeypatch.setattr(byte_search, "CHUNK", size)
        search = Search(Needles.of({"name": NAME}))
        search.files("here", tmp_path)
        assert list(search.found.values()) == [1], size


def test_a_gzipped_file_is_looked_into_and_a_broken_one_reported(tmp_path):
    (tmp_path / "backup.gz").write_bytes(gzip.compress(NAME.encode() * 3))
    broken = tmp_path / "broken.gz"
    broken.write_bytes(b"\x1f\x8b\x08 not really")

    search = Search(Needles.of(WORDS))
    search.files("here", tmp_path)

    assert search.found[f"{tmp_path.name}/backup.gz", "name"] == 3
    assert search.skipped == [str(broken)]


def test_what_is_too_short_is_said_and_not_searched():
    assert Needles.of({"name": "Li"}).too_short == ("name",)


def test_what_was_searched_is_counted(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b").write_bytes(b"56")

    search = Search(Needles.of(WORDS))
    search.files("here", tmp_path)

    assert (search.searched["here"], search.amount["here"]) == (2, 6)
    assert not search.found
