"""What was ever stored is read for ever, and means today what it meant then."""

import json
from pathlib import Path

import pytest

from pomona_console.contract_lock import stored_events

from .golden import HERE, hash_of, locked
from .stored import (
    APPLICATIONS,
    application_of,
    folded,
    happened,
    name_of,
    plain,
    service_of,
    stored,
    stream_in,
    streams,
)

STREAMS = streams()


def expected(path: Path) -> dict[str, object]:
    states = json.loads((path.parent / "folded.json").read_text("utf-8"))
    state: dict[str, object] = states[path.stem]
    return state


@pytest.mark.parametrize("path", STREAMS, ids=name_of)
def test_a_golden_stream_folds_to_what_it_meant(path):
    state = plain(folded(happened(service_of(path), stream_in(path))))

    # an aggregate may learn to remember more, never to forget
    assert {name: state.get(name) for name in expected(path)} == expected(path)


@pytest.mark.parametrize("path", STREAMS, ids=name_of)
def test_what_was_upcast_folds_as_what_is_stored_today(path):
    events = happened(service_of(path), stream_in(path))
    mapper = application_of(service_of(path)).mapper

    natively = [mapper.to_domain_event(mapper.to_stored_event(event)) for event in events]

    assert plain(folded(natively)) == plain(folded(events))


@pytest.mark.parametrize(
    "path", [path for path in STREAMS if ".Snapshot." in path.name], ids=name_of
)
def test_a_snapshot_remembers_all_that_its_aggregate_remembers(path):
    from_events = next(
        other
        for other in path.parent.glob(f"{path.name.partition('.')[0]}.*.v*.json")
        if other != path
    )

    known = set(plain(folded(happened(service_of(path), stream_in(path)))))

    # else: give the aggregate a class_version and an upcast, or delete its snapshots in a migration
    assert known == set(plain(folded(happened(service_of(path), stream_in(from_events)))))


@pytest.mark.parametrize(
    "path", [path for path in STREAMS if ".Snapshot." not in path.name], ids=name_of
)
def test_a_golden_stream_ends_with_what_it_is_named_after(path):
    last = stream_in(path)[-1]
    topic, _, version = path.stem.rpartition(".v")

    assert last.topic == f"{service_of(path)}.{topic}"
    assert json.loads(last.state).get("class_version", 1) == int(version)


@pytest.mark.parametrize("service", APPLICATIONS)
def test_every_version_of_every_stored_event_has_a_golden_stream(service):
    kept = {path.stem for path in stored(service).glob("*.v*.json")}

    needed = {
        f"{topic.removeprefix(f'{service}.')}.v{version}"
        for topic, event in stored_events(APPLICATIONS[service]).items()
        for version in range(1, getattr(event, "class_version", 1) + 1)
    }

    assert needed <= kept


def test_every_golden_stream_has_its_state_and_every_state_its_stream():
    for service in APPLICATIONS:
        states = json.loads((stored(service) / "folded.json").read_text("utf-8"))
        assert set(states) == {path.stem for path in stored(service).glob("*.v*.json")}


def test_a_golden_stream_never_changes():
    now = {str(path.relative_to(HERE)): hash_of(path) for path in streams()}
    known = {name: digest for name, digest in locked().items() if "/stored/" in name}

    changed = {name for name, digest in known.items() if now.get(name) != digest}
    unlocked = {name: digest for name, digest in now.items() if name not in known}

    assert not changed, (
        f"{sorted(changed)} differ from what databases hold. Put them back, raise class_version,"
        " and write an upcast."
    )
    assert not unlocked, "Lock new streams by appending to tests/contract/golden.lock:\n" + (
        "\n".join(f"{digest}  {name}" for name, digest in sorted(unlocked.items()))
    )
