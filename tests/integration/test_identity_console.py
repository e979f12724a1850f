"""`pomona identity`, as an operator and a terminal's fitter use it."""

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


def test_a_till_is_fitted_out_and_somebody_logs_in_there(answer, tmp_path):
    till = str(tmp_path / "till.json")

    code = answer("issue-code", "--store", STORE)["code"]
    enrolled = answer("enrol", code, "--credentials", till)
    answer("hire", "mei", "--as", "cashier", "--store", STORE)
    answer("set-pin", "mei", "--from", "-", given="836201\n")
    session = answer("log-in", "mei", "--credentials", till, "--from", "-", given="836201\n")

    assert enrolled["store_id"] == STORE
    assert session["role"] == "cashier"
    assert session["token"].count(".") == 2
    found = answer("list", "--store", STORE)
    assert {each["staff_no"]: each["state"] for each in found["people"]} == {"mei": "active"}

    answer("revoke", "person", "mei")
    answer("revoke", "terminal", enrolled["terminal_id"])
    found = answer("list", "--store", STORE)
    assert {each["state"] for each in (*found["people"], *found["terminals"])} == {
        "left",
        "revoked",
    }


def test_what_is_refused_is_said_with_its_remedy(run, answer, tmp_path):
    answer("hire", "lin", "--as", "cashier", "--store", STORE)

    weak = run("set-pin", "lin", "--from", "-", given="123456\n")
    nowhere = run("log-in", "lin", "--credentials", str(tmp_path / "none"), "--from", "-")
    taken = run("hire", "lin", "--as", "analyst")

    for done, code in ((weak, "weak_secret"), (nowhere, "enrol"), (taken, "staff_no_taken")):
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
