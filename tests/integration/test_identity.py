"""Terminals enrol once, people log in at them, and what was revoked is refused everywhere."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt
import psycopg
import pytest

from pomona.broker_access import terminal_user
from pomona.errors import Refused, Unavailable
from pomona.identity import Actor, issue
from pomona.session import Session, enrol, hash_of_code, log_in, new_code
from pomona.signing import keys_in, make_key
from pomona.terminal import Terminal
from pomona_console.broker_management import Management
from pomona_console.stack import terminal_for

from .raw_caller import metric

pytestmark = pytest.mark.integration

STORE = UUID("7d1f0c9a-52c4-4c0e-9f55-0c6d4f6b8e01")
PIN, PASSWORD = "194857", "kumquats in november"


@pytest.fixture(scope="module")
def office(stack):
    with terminal_for(stack, role="head_office", locale="en") as terminal:
        yield terminal


@pytest.fixture(scope="module")
def hire(office):
    """Make somebody known who has a secret; return the staff number."""

    def hired(works_as="cashier", store=STORE):
        staff_no = f"s{uuid4().hex[:8]}"
        at = {"store_id": str(store)} if works_as in ("cashier", "store_manager") else {}
        office.command("identity", "hire", {"staff_no": staff_no, "works_as": works_as, **at})
        secret = {"pin": PIN} if at else {"password": PASSWORD}
        office.command("identity", "set_credential", {"staff_no": staff_no, **secret})
        return staff_no

    return hired


def issue_code(office, store=STORE, terminal_id=None):
    terminal_id, code = terminal_id or uuid4(), new_code()
    at = {"store_id": str(store)} if store else {}
    request = {"terminal_id": str(terminal_id), "code_hash": hash_of_code(code), **at}
    office.command("identity", "issue_code", request)
    return code


@pytest.fixture(scope="module")
def new_till(stack, office, tmp_path_factory):
    def enrolled(store=STORE):
        file = tmp_path_factory.mktemp("till") / "credentials.json"
        return enrol(stack.amqp_uri, issue_code(office, store), file)

    return enrolled


@pytest.fixture(scope="module")
def till(new_till):
    return new_till()


def refusal(attempt):
    with pytest.raises(Refused) as refused:
        attempt()
    return refused.value.code


def eventually(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def is_let_in(terminal):
    try:
        terminal.ask("orders", "positions")
    except (Refused, Unavailable):
        return False
    return True


def everything_in(stack, service):
    """All that a service's database holds, as text."""
    with psycopg.connect(stack.databases[service]) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        return "\n".join(
            str(row)
            for (table,) in tables
            for row in connection.execute(f'SELECT t::text FROM "{table}" AS t').fetchall()
        )


@pytest.mark.feature("SYS-40")
def test_a_code_enrols_one_terminal_once(stack, office, tmp_path):
    code = issue_code(office)

    credentials = enrol(stack.amqp_uri, code, tmp_path / "one.json")

    assert credentials.store_id == str(STORE)
    assert (tmp_path / "one.json").stat().st_mode & 0o777 == 0o600
    assert refusal(lambda: enrol(stack.amqp_uri, code, tmp_path / "two.json")) == "code_not_valid"
    assert refusal(lambda: enrol(stack.amqp_uri, new_code(), tmp_path / "x")) == "code_not_valid"


def test_a_new_code_makes_the_one_before_it_void(stack, office, tmp_path):
    terminal_id = uuid4()
    lost = issue_code(office, terminal_id=terminal_id)
    found = issue_code(office, terminal_id=terminal_id)

    assert refusal(lambda: enrol(stack.amqp_uri, lost, tmp_path / "a")) == "code_not_valid"
    assert enrol(stack.amqp_uri, found, tmp_path / "b").terminal_id == str(terminal_id)


def test_no_secret_is_stored_or_logged(stack, office, new_till, hire):
    staff_no, code = hire(), new_code()
    till = new_till()
    with log_in(till, staff_no, pin=PIN) as session:
        token = session.token()
    password = till.amqp_uri.split("@")[0].rsplit(":", 1)[1]

    kept = everything_in(stack, "identity") + stack.layout.log("identity").read_text()

    for secret in (PIN, PASSWORD, password, token, token.rsplit(".", 1)[1], code):
        assert secret not in kept


@pytest.mark.feature("SYS-41")
def test_somebody_who_logged_in_works_for_their_own_store_only(till, hire):
    with log_in(till, hire("store_manager"), pin=PIN) as session:
        manager = Terminal(till.amqp_uri, session.token)
        with manager:
            own, foreign = (
                refusal(lambda s=store: manager.ask("inventory", "list_stock", {"store_id": s}))
                for store in (str(STORE), str(uuid4()))
            )
    assert session.role == "store_manager"
    assert (own, foreign) == ("unknown_store", "forbidden")  # nobody has opened it, that is all


def test_head_office_logs_in_with_a_password_and_not_at_a_store(new_till, till, hire):
    somebody = hire("head_office")

    with log_in(new_till(store=None), somebody, password=PASSWORD) as session:
        assert session.role == "head_office"
    assert refusal(lambda: log_in(till, somebody, password=PASSWORD)) == "not_let_in"


def test_nobody_logs_in_at_another_store(new_till, hire):
    assert refusal(lambda: log_in(new_till(store=uuid4()), hire(), pin=PIN)) == "not_let_in"


def test_a_token_is_worth_nothing_at_another_terminal(stack, till, new_till, hire):
    with log_in(till, hire(), pin=PIN) as session:
        stolen = session.token()
    for uri in (new_till().amqp_uri, stack.amqp_uri):
        with Terminal(uri, stolen) as thief:
            assert refusal(lambda t=thief: t.ask("orders", "positions")) == "unauthenticated"
            assert refusal(
                lambda t=thief: t.ask("identity", "renew", {"session_token": stolen})
            ) in ("session_over", "unauthenticated")


@pytest.mark.feature("SYS-42")
def test_whoever_guesses_waits_longer_and_longer_and_hinders_nobody_elsewhere(
    stack, new_till, hire
):
    here, elsewhere, somebody, colleague = new_till(), new_till(), hire(), hire()
    log_in(elsewhere, somebody, pin=PIN).close()  # where they work every day

    guesses = [refusal(lambda: log_in(here, somebody, pin="502938")) for _ in range(4)]

    assert guesses == ["not_let_in"] * 3 + ["too_many_attempts"]
    assert refusal(lambda: log_in(here, somebody, pin=PIN)) == "too_many_attempts"
    log_in(elsewhere, somebody, pin=PIN).close()
    log_in(here, colleague, pin=PIN).close()
    assert metric(stack, "identity", "pomona_authz_denied_total", reason="too_many_attempts") >= 2


def test_many_guesses_at_once_are_counted_one_by_one(new_till, hire):
    here, somebody = new_till(), hire()

    with ThreadPoolExecutor(6) as pool:
        guesses = [
            pool.submit(refusal, lambda: log_in(here, somebody, pin="502938")) for _ in range(6)
        ]

    assert [guess.result() for guess in guesses].count("not_let_in") <= 3


def test_an_unknown_person_and_a_wrong_pin_are_told_apart_by_nothing(new_till, hire):
    here = new_till()

    def told(staff_no):
        began = time.monotonic()
        with pytest.raises(Refused) as refused:
            log_in(here, staff_no, pin="502938")
        return (refused.value.code, refused.value.message), time.monotonic() - began

    (wrong, took), (unknown, took_too) = told(hire()), told("nobody-at-all")

    assert wrong == unknown
    assert min(took, took_too) >= 0.3


@pytest.mark.feature("SYS-43")
def test_what_was_revoked_is_refused_within_a_minute(office, new_till, hire):
    gone, moved, ended = hire(), hire(), hire()
    lost, kept = new_till(), new_till()
    sessions = {name: log_in(kept, name, pin=PIN) for name in (gone, moved, ended)}
    clients = {name: Terminal(kept.amqp_uri, s.token()) for name, s in sessions.items()}
    with log_in(lost, hire(), pin=PIN) as session:
        stolen = Terminal(lost.amqp_uri, session.token())
    assert all(map(is_let_in, (*clients.values(), stolen)))

    office.command("identity", "leave", {"staff_no": gone})
    office.command(
        "identity",
        "move",
        {"staff_no": moved, "works_as": "store_manager", "store_id": str(STORE)},
    )
    sessions[ended].log_out()
    office.command("identity", "revoke_terminal", {"terminal_id": lost.terminal_id})

    refused = (*clients.values(), stolen)
    assert eventually(lambda: not any(map(is_let_in, refused)))
    for name in (gone, moved, ended):
        old = clients[name]._token
        assert refusal(lambda t=old: Session.resumed(kept, t)) == "session_over"
    assert refusal(lambda: log_in(lost, gone, pin=PIN)) == "unauthenticated"  # by the broker
    for opened in (*refused, *sessions.values()):
        opened.close()


def test_keys_are_exchanged_without_a_call_that_fails(stack, till, hire):
    session = log_in(till, hire(), pin=PIN)
    old = session.token()
    # as if it had been made a while ago, so that the test need not wait a whole minute
    make_key(stack.layout.signing_keys, datetime.now(UTC) - timedelta(seconds=35))

    with Terminal(till.amqp_uri, lambda: session._token) as cashier:

        def signed_anew():
            session._renew_at = 0.0
            session.token()
            cashier.ask("orders", "positions")
            return key_of(session._token) != key_of(old)

        assert eventually(signed_anew)
        with Terminal(till.amqp_uri, old) as not_yet_renewed:
            not_yet_renewed.ask("orders", "positions")
    session.close()


def key_of(token):
    return jwt.get_unverified_header(token)["kid"]


def test_a_broker_that_forgot_a_terminal_learns_of_it_again(stack, till):
    Management(stack.rabbitmq_api).forget("users", terminal_user(till.terminal_id))

    def is_known():
        try:
            with till.terminal() as machine:
                machine.ask("identity", "renew", {"session_token": "none"})
        except Unavailable:
            return False
        except Refused as refused:
            return bool(refused.correlation_id)
        return True

    assert eventually(is_known)


@contextmanager
def standing_still(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_tills_go_on_while_identity_is_away(stack, till, hire):
    with log_in(till, hire(), pin=PIN) as session:
        session._renew_at = 0.0  # due, and not to be had
        with (
            standing_still(stack.service("identity")["pid"]),
            Terminal(till.amqp_uri, session._token) as cashier,
        ):
            before = stack.service("orders")["pid"]
            os.kill(before, signal.SIGKILL)
            # what orders learned of identity outlives it
            assert eventually(lambda: is_let_in(cashier))
            assert stack.refreshed().service("orders")["pid"] != before


def test_keys_of_others_and_no_key_at_all_open_nothing(stack, till, tmp_path):
    make_key(tmp_path, datetime.now(UTC))
    (forged,) = keys_in(tmp_path)
    actor = Actor("boss", "head_office")
    token = issue(forged, actor, timedelta(minutes=5), via=terminal_user(till.terminal_id))

    for shown in (token, "", "none"):
        with Terminal(till.amqp_uri, shown) as stranger:
            assert refusal(lambda s=stranger: s.ask("orders", "positions")) == "unauthenticated"
