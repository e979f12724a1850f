"""`pomona identity`, as an operator uses it."""

import json

import pytest
from click.testing import CliRunner

from pomona.signing import keys_in
from pomona_console.identity import identity
from pomona_console.trouble import Trouble

pytestmark = pytest.mark.integration

STORE = "7d1f0c9a-52c4-4c0e-9f55-0c6d4f6b8e02"


@pytest.fixture
def run(stack, monkeypatch):
    monkeypatch.setenv("POMONA_RUN", str(stack.layout.directory))

    def run(*words, given=None):
        return CliRunner().invoke(identity, words, input=given, standalone_mode=False)

    return run


@pytest.fixture
def answer(run):
    def answer(*words, given=None):
        done = run(*words, "--json", given=given)
        assert done.exception is None, done.exception
        return json.loads(done.stdout)

    return answer


def test_what_is_refused_is_said_with_its_remedy(run, answer):
    answer("hire", "lin", "--as", "cashier", "--store", STORE)

    weak = run("set-pin", "lin", "--from", "-", given="123456\n")
    taken = run("hire", "lin", "--as", "analyst")

    for done, code in ((weak, "weak_secret"), (taken, "staff_no_taken")):
        assert isinstance(done.exception, Trouble)
        assert code in done.exception.en
    assert "123456" not in weak.exception.zh + weak.exception.en


def test_a_secret_is_never_an_argument(run):
    assert run("set-pin", "lin", "836201").exception is not None
    assert isinstance(run("set-pin", "lin").exception, Trouble)  # nobody is there to be asked


def test_a_new_key_joins_the_old_ones_and_is_pinned(stack, answer):
    before = {key.kid for key in keys_in(stack.layout.signing_keys)}

    rotated = answer("rotate-key")

    after = {key.kid for key in keys_in(stack.layout.signing_keys)}
    assert after == before | {rotated["kid"]}
    assert stack.layout.public_key.read_text().count("BEGIN PUBLIC KEY") == len(after)


@pytest.mark.parametrize("name", sorted(identity.commands))
def test_every_command_shows_how_it_is_used(name):
    assert "pomona identity" in (identity.commands[name].callback.__doc__ or "")
