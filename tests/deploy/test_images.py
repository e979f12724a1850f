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


def test_the_entrypoint_starts_a_module_for_the_service_of_the_image(
    deploy: Path, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "POMONA_SERVICE": "orders"}

    done = subprocess.run(
        [deploy / "docker/entrypoint", "pomona.migrate"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "-m pomona.migrate orders\n"
