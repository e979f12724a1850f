"""`pomona terminal`, as a till uses it: its own account, a person's session, and a backlog."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner

from pomona_console.identity import identity
from pomona_console.stack import terminal_for
from pomona_console.terminal import terminal
from pomona_console.trouble import Trouble

from .corner_shop import rows

pytestmark = [pytest.mark.integration, pytest.mark.feature("SYS-03")]

PIN = "836201\n"
MOMENT = "2026-11-20T09:00:00+08:00"


class Till:
    """A machine that knows the command line and nothing else."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *words, given=None):
        words = (*words, "--home", str(self.home))
        return CliRunner().invoke(terminal, words, input=given, standalone_mode=False)

    def told(self, *words, given=None):
        done = self.run(*words, "--json", given=given)
        assert done.exception is None, (done.exception, done.stderr)
        return json.loads(done.stdout)

    def trouble(self, *words, given=None):
        refused = self.run(*words, given=given).exception
        assert isinstance(refused, Trouble), refused
        return refused


def operator(*words, given=None):
    done = CliRunner().invoke(identity, (*words, "--json"), input=given, standalone_mode=False)
    assert done.exception is None, done.exception
    return json.loads(done.stdout)


def hired(store):
    staff_no = f"mei-{uuid4().hex[:8]}"
    operator("hire", staff_no, "--as", "cashier", "--store", store)
    operator("set-pin", staff_no, "--from", "-", given=PIN)
    return staff_no


@pytest.fixture
def store(stack, monkeypatch):
    monkeypatch.setenv("POMONA_RUN", str(stack.layout.directory))
    store, code = str(uuid4()), uuid4().hex[:8].upper()
    with terminal_for(stack, role="head_office") as office:
        opening = {"store_id": store, "code": code, "name": "一店"}
        office.command("orders", "open_store", {**opening, "zone": "UTC", "cut_off": "04:00"})
    return store


@pytest.fixture
def till(stack, store, tmp_path):
    """A till that is enrolled and known to orders; nobody is logged in."""
    till = Till(tmp_path / "till")
    enrolled = till.told("enrol", operator("issue-code", "--store", store)["code"])
    assert enrolled["store_id"] == store
    known = {"terminal_id": enrolled["terminal_id"], "store_id": store, "code": "T1"}
    with terminal_for(stack, role="head_office") as office:
        office.command("orders", "register_terminal", known)
    return till


def shift():
    return {"shift_id": str(uuid4()), "terminal_time": MOMENT, "float_fen": 0}


def send(till, request):
    (sent,) = till.told("send", "orders", "open_shift", json.dumps(request))
    return sent


def test_what_is_sent_is_the_work_of_who_is_logged_in_at_this_till(stack, store, till):
    staff_no = hired(store)
    assert till.told("log-in", staff_no, "--from", "-", given=PIN)["role"] == "cashier"

    sent = send(till, shift())

    assert (sent["state"], sent["person"]) == ("answered", staff_no)
    by = "SELECT DISTINCT cause->>'actor' FROM orders_events WHERE cause->>'causationid' = %s"
    assert rows(stack.databases["orders"], by, sent["command_id"]) == [(staff_no,)]
    assert {file.stat().st_mode & 0o077 for file in (till.home, *till.home.iterdir())} == {0}


def test_what_is_refused_or_not_delivered_is_kept_and_shown(store, till):
    till.told("log-in", hired(store), "--from", "-", given=PIN)
    send(till, shift())
    refused = send(till, shift())  # one shift is open there already
    assert refused["state"] == "refused"
    assert [kept["number"] for kept in till.told("queue")] == [refused["number"]]

    account = till.home / "account.json"
    reachable = account.read_text()
    account.write_text(reachable.replace(json.loads(reachable)["amqp_uri"], "amqp://x:x@[::1]:1/"))
    waiting = till.run("send", "orders", "open_shift", json.dumps(shift()), "--json")
    assert "pomona terminal flush" in waiting.stderr
    assert json.loads(waiting.stdout)[0]["state"] == "waiting"
    account.write_text(reachable)

    assert [kept["state"] for kept in till.told("flush")] == ["refused", "refused"]
    assert len(till.told("queue", "--all")) == 3


def test_who_logs_out_or_leaves_sends_nothing_more(store, till):
    staff_no = hired(store)
    till.told("log-in", staff_no, "--from", "-", given=PIN)
    assert till.run("log-out").exception is None
    assert "log-in" in till.trouble("send", "orders", "open_shift", "{}").en

    till.told("log-in", staff_no, "--from", "-", given=PIN)
    operator("revoke", "person", staff_no)
    over = till.trouble("send", "orders", "open_shift", json.dumps(shift()))

    assert "pomona terminal log-in" in over.zh
    assert "pomona terminal log-in" in over.en
    assert [kept["state"] for kept in till.told("queue")] == ["waiting"]


def test_what_cannot_be_done_here_is_said_with_the_next_step(store, till, tmp_path):
    nowhere = Till(tmp_path / "nowhere")

    assert "pomona terminal enrol" in nowhere.trouble("log-in", "lin").en
    assert "pomona terminal enrol" in nowhere.trouble("send", "orders", "open_shift", "{}").zh
    assert "pomona terminal log-in" in till.trouble("send", "orders", "open_shift", "{}").en
    wrong = till.trouble("log-in", hired(store), "--from", "-", given="111222\n")
    assert "not_let_in" in wrong.en


@pytest.mark.parametrize("name", sorted(terminal.commands))
def test_every_command_shows_how_it_is_used(name):
    assert terminal.commands[name].callback.__doc__
