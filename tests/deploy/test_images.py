"""The Dockerfile and its entrypoint, as far as can be seen without building an image."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

Instruction = tuple[str, str]


@pytest.fixture(scope="module")
def stages(deploy: Path) -> list[list[Instruction]]:
    """The instructions of each stage, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (deploy / "docker/Dockerfile").read_text(), flags=re.MULTILINE)
    found: list[list[Instruction]] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            if word == "FROM":
                found.append([])
            found[-1].append((word, re.sub(r"\s+", " ", rest.strip())))
    return found


def given(stage: list[Instruction], word: str) -> list[str]:
    return [rest for instruction, rest in stage if instruction == word]


def test_both_stages_stand_on_the_same_named_version(stages: list[list[Instruction]]) -> None:
    build, final = (given(stage, "FROM")[0] for stage in stages)
    assert build == f"{final} AS build"
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", final)


def test_nothing_is_fetched_without_its_hash(stages: list[list[Instruction]]) -> None:
    fetching = [
        command
        for stage in stages
        for run in given(stage, "RUN")
        for command in run.split("&&")
        if re.search(r"pip (install|download|wheel)\b", command) and "--no-index" not in command
    ]
    assert len(fetching) == 1
    assert "--require-hashes --requirement requirements.lock" in fetching[0]
    assert not [rest for stage in stages for rest in given(stage, "ADD")]


def test_the_final_image_only_receives_what_was_built(stages: list[list[Instruction]]) -> None:
    final = stages[-1]
    assert not given(final, "RUN")
    assert given(final, "COPY") == [
        "--from=build /opt/pomona /opt/pomona",
        "--from=build --chown=10001:10001 /erasures /var/lib/pomona/erasures",
        "--chmod=0755 deploy/docker/entrypoint /usr/local/bin/entrypoint",
    ]


def test_the_service_does_not_run_as_root(stages: list[list[Instruction]]) -> None:
    [user] = given(stages[-1], "USER")
    uid, _, gid = user.partition(":")
    assert int(uid) >= 10000
    assert int(gid) >= 10000


def test_the_image_asks_itself_whether_it_is_healthy(stages: list[list[Instruction]]) -> None:
    [check] = given(stages[-1], "HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert "/healthz" in command[2]


def test_signals_reach_the_service_and_not_a_shell(stages: list[list[Instruction]]) -> None:
    assert given(stages[-1], "ENTRYPOINT") == ['["entrypoint"]']
    assert given(stages[-1], "CMD") == ['["pomona.run"]']


def test_the_build_sees_only_what_it_copies(deploy: Path, stages: list[list[Instruction]]) -> None:
    lines = (deploy / "docker/Dockerfile.dockerignore").read_text().split()
    assert lines[0] == "*"
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        rest.split()[-2].partition("/${SERVICE}")[0]
        for stage in stages
        for rest in given(stage, "COPY")
        if "--from" not in rest
    }
    assert copied == allowed
    assert all(deploy.parent.joinpath(name).exists() for name in copied)


@pytest.fixture
def entrypoint(deploy: Path, tmp_path: Path) -> Path:
    """The entrypoint with a `python` that says what it was given."""
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text(
        '#!/bin/sh\necho "$@"\necho "$POMONA_AMQP_URI"\necho "$POMONA_DATABASE_DSN"\n'
    )
    python.chmod(0o755)
    return deploy / "docker/entrypoint"


def start(
    entrypoint: Path, tmp_path: Path, module: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "POMONA_SERVICE": "orders",
        **settings,
    }
    return subprocess.run(
        [entrypoint, module], env=environment, capture_output=True, text=True, check=False
    )


def test_the_entrypoint_reads_passwords_from_files(entrypoint: Path, tmp_path: Path) -> None:
    (tmp_path / "amqp").write_text("amqp://orders:s3cr et$@broker/pomona\n")
    (tmp_path / "dsn").write_text("postgresql://orders:'x'@db/orders")

    done = start(
        entrypoint,
        tmp_path,
        "pomona.migrate",
        POMONA_AMQP_URI_FILE=str(tmp_path / "amqp"),
        POMONA_DATABASE_DSN_FILE=str(tmp_path / "dsn"),
    )

    assert done.stdout.splitlines() == [
        "-m pomona.migrate orders",
        "amqp://orders:s3cr et$@broker/pomona",
        "postgresql://orders:'x'@db/orders",
    ]


def test_the_entrypoint_takes_plain_settings_too(entrypoint: Path, tmp_path: Path) -> None:
    done = start(
        entrypoint, tmp_path, "pomona.run", POMONA_AMQP_URI="amqp://a", POMONA_DATABASE_DSN="pg://b"
    )
    assert done.stdout.splitlines() == ["-m pomona.run orders", "amqp://a", "pg://b"]


def test_a_missing_password_file_stops_the_start(entrypoint: Path, tmp_path: Path) -> None:
    done = start(entrypoint, tmp_path, "pomona.run", POMONA_AMQP_URI_FILE=str(tmp_path / "none"))
    assert done.returncode != 0
    assert done.stdout == ""
