"""Every change of a contract that would break somebody is found, by its rule and its remedy."""

import copy
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pomona_console import compatibility
from pomona_console.catalogue import DOCS, whole_chain
from pomona_console.compatibility import REMEDIES, bases, breaks, undecided
from pomona_console.contract_lock import LOCK, Shapes, shapes_in, shapes_of, text_of

PAID = "published orders.order_paid.v1"
READ = "consumed inventory<-orders.order_paid.v1"
ASKED = "request orders.place_order"
STORED = "stored orders.Order.Paid"

BEFORE: Shapes = {
    PAID: {
        "type": "object",
        "required": ["order_id", "channel", "lines"],
        "properties": {
            "order_id": {"type": "string", "format": "uuid"},
            "channel": {"type": "string", "enum": ["till", "app"]},
            "customer_id": {"type": ["string", "null"], "format": "uuid"},
            "lines": {
                "type": "array",
                "items": {"type": "object", "properties": {"total_fen": {"type": "integer"}}},
            },
        },
    },
    READ: {
        "type": "object",
        "required": ["order_id"],
        "properties": {
            "order_id": {"type": "string", "format": "uuid"},
            "channel": {"type": "string", "enum": ["till", "app"]},
        },
    },
    ASKED: {
        "kind": "command",
        "roles": ["cashier", "store_manager"],
        "request": {
            "type": "object",
            "required": ["order_id"],
            "properties": {
                "order_id": {"type": "string", "format": "uuid"},
                "channel": {"type": "string", "enum": ["till", "app"]},
                "note": {"type": ["string", "null"], "minLength": 0, "maxLength": 100},
                "lines": {
                    "type": "array",
                    "maxItems": 200,
                    "items": {
                        "type": "object",
                        "properties": {"quantity": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
    STORED: {"version": 1, "upcasts": [], "fields": {"total_fen": "int", "hour": "int"}},
}

Change = Callable[[Shapes], Any]


def fields(shapes: Shapes, key: str) -> Any:
    return shapes[key].get("request", shapes[key])["properties"]


CHANGES: list[tuple[str, str, Change]] = [
    ("published-removed", "", lambda now: now.pop(PAID) and now.pop(READ)),
    ("published-field-removed", "customer_id", lambda now: fields(now, PAID).pop("customer_id")),
    (
        "published-field-removed",
        "lines[].total_fen",
        lambda now: fields(now, PAID)["lines"]["items"]["properties"].pop("total_fen"),
    ),
    (
        "published-field-retyped",
        "order_id",
        lambda now: fields(now, PAID)["order_id"].update(type="integer"),
    ),
    (
        "published-enum-narrowed",
        "channel",
        lambda now: fields(now, PAID)["channel"].update(enum=["till"]),
    ),
    ("published-changed", "", lambda now: fields(now, PAID).update(hour={"type": "integer"})),
    ("consumed-unpublished", "", lambda now: now.update({f"{READ}x": now[READ]})),
    ("consumed-field-unpublished", "shop", lambda now: now[READ]["required"].append("shop")),
    (
        "consumed-field-retyped",
        "order_id",
        lambda now: fields(now, READ)["order_id"].update(type="integer"),
    ),
    (
        "consumed-enum-narrower",
        "channel",
        lambda now: fields(now, READ)["channel"].update(enum=["till"]),
    ),
    ("request-removed", "", lambda now: now.pop(ASKED)),
    ("request-kind-changed", "", lambda now: now[ASKED].update(kind="question")),
    ("request-role-removed", "cashier", lambda now: now[ASKED].update(roles=["store_manager"])),
    ("request-field-removed", "note", lambda now: fields(now, ASKED).pop("note")),
    (
        "request-field-required",
        "channel",
        lambda now: now[ASKED]["request"]["required"].append("channel"),
    ),
    ("request-field-retyped", "note", lambda now: fields(now, ASKED)["note"].update(type="string")),
    (
        "request-field-retyped",
        "lines[].quantity",
        lambda now: fields(now, ASKED)["lines"]["items"]["properties"]["quantity"].update(
            type="string"
        ),
    ),
    (
        "request-enum-narrowed",
        "channel app",
        lambda now: fields(now, ASKED)["channel"].update(enum=["till"]),
    ),
    (
        "request-enum-narrowed",
        "note",
        lambda now: fields(now, ASKED)["note"].update(enum=["fragile"]),
    ),
    (
        "request-limit-narrowed",
        "note maxLength",
        lambda now: fields(now, ASKED)["note"].update(maxLength=50),
    ),
    (
        "request-limit-narrowed",
        "note minLength",
        lambda now: fields(now, ASKED)["note"].update(minLength=1),
    ),
    (
        "request-limit-narrowed",
        "lines maxItems",
        lambda now: fields(now, ASKED)["lines"].update(maxItems=10),
    ),
    ("stored-removed", "", lambda now: now.pop(STORED)),
    ("stored-field-removed", "hour", lambda now: now[STORED]["fields"].pop("hour")),
    ("stored-field-retyped", "hour", lambda now: now[STORED]["fields"].update(hour="str")),
    ("stored-field-added", "tip_fen", lambda now: now[STORED]["fields"].update(tip_fen="int")),
    ("stored-upcast-missing", "upcast_v1_v2", lambda now: now[STORED].update(version=2)),
]


@pytest.mark.parametrize(
    ("rule", "what", "change"), CHANGES, ids=[f"{rule} {what}" for rule, what, _ in CHANGES]
)
def test_a_change_that_breaks_somebody_is_found_under_its_rule(rule, what, change):
    now = copy.deepcopy(BEFORE)

    change(now)
    found = breaks(BEFORE, now)

    assert [(each.rule, each.what) for each in found] == [(rule, what)]
    assert REMEDIES[rule] in str(found[0])


def test_every_rule_is_shown_to_work():
    assert {rule for rule, _, _ in CHANGES} == set(REMEDIES)


def test_what_only_adds_breaks_nobody():
    now = copy.deepcopy(BEFORE)

    now["published orders.order_paid.v2"] = now[PAID]
    now["request orders.wait"] = now[ASKED]
    now["stored orders.Order.Waited"] = {"version": 1, "upcasts": [], "fields": {}}
    now[ASKED]["roles"].append("head_office")
    fields(now, ASKED)["tip_fen"] = {"type": "integer"}
    fields(now, ASKED)["channel"]["enum"].append("clerk")
    fields(now, ASKED)["note"]["maxLength"] = 200
    fields(now, READ).pop("channel")
    now[STORED] = {
        "version": 2,
        "upcasts": ["upcast_v1_v2"],
        "fields": {"total_fen": "int", "hour": "int", "tip_fen": "int"},
    }

    assert breaks(BEFORE, now) == []


def test_a_reader_may_not_need_what_a_publisher_does_not_tell_yet():
    now = copy.deepcopy(BEFORE)

    now["published orders.order_paid.v1"]["properties"]["hour"] = {"type": "integer"}
    now[READ]["required"].append("hour")

    assert ("consumed-field-unpublished", "hour") in {
        (each.rule, each.what) for each in breaks(BEFORE, now)
    }


def test_a_lock_file_says_what_it_was_made_from():
    shapes = shapes_of(whole_chain())

    assert shapes_in(text_of(shapes)) == shapes
    assert {key.split()[0] for key in shapes} == {"published", "consumed", "request", "stored"}


@pytest.mark.feature("SYS-02")
def test_nothing_that_was_promised_before_is_broken():
    now = shapes_of(whole_chain())

    for name, before in bases(DOCS.parent).items():
        found = undecided(before, now)
        assert not found, f"compared with {name}:\n" + "\n".join(map(str, found))


def test_a_break_that_was_decided_on_is_let_through(tmp_path, monkeypatch):
    listed = tmp_path / "contracts.breaks"
    listed.write_text("# kept\n\nrequest-removed orders.place_order: the till has a new one\n")
    monkeypatch.setattr(compatibility, "BREAKS", listed)
    now = {key: shape for key, shape in BEFORE.items() if key != ASKED}

    assert undecided(BEFORE, now) == []
    assert undecided(BEFORE, {}) != []


def test_a_branch_is_compared_with_where_it_left_main_and_with_the_last_release(tmp_path):
    lock = tmp_path / "docs" / LOCK
    lock.parent.mkdir()

    def commit(text: str) -> None:
        lock.write_text(text)
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", "change")

    git(tmp_path, "init", "-q", "-b", "main")
    commit('stored a {"at": "release"}\n')
    git(tmp_path, "tag", "v1")
    commit('stored a {"at": "main"}\n')
    git(tmp_path, "checkout", "-q", "-b", "work")
    commit('stored a {"at": "work"}\n')

    found = {name: shapes["stored a"]["at"] for name, shapes in bases(tmp_path).items()}

    assert found == {"docs/contracts.lock": "work", "main": "main", "v1": "release"}


def test_without_git_the_lock_file_itself_is_what_was_promised(tmp_path):
    (tmp_path / "docs").mkdir()
    shutil.copy(DOCS / LOCK, tmp_path / "docs" / LOCK)

    assert set(bases(tmp_path)) == {f"docs/{LOCK}"}


def git(directory: Path, *arguments: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *who, *arguments], cwd=directory, check=True)
