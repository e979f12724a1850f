"""What the documents say can be done, can be done; what they point to is there."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pomona_console.catalogue import whole_chain
from pomona_console.main import console
from pomona_console.postgres import hidden_home

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "services/*/README.md", "deploy/**/*.md")
    for path in ROOT.glob(pattern)
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
TARGET = re.compile(r"^([a-z-]+):.*## ", re.MULTILINE)
TRANSLATIONS = ("README.md", "README.zh-CN.md")


def by_path(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment in which `pomona up` starts a stack of its own, stopped in the end."""
    environment = {**os.environ, "POMONA_RUN": str(tmp_path)}
    yield environment
    subprocess.run([".venv/bin/pomona", "down"], cwd=ROOT, env=environment, check=True)
    shutil.rmtree(hidden_home(tmp_path), ignore_errors=True)


@pytest.mark.integration
def test_the_commands_of_the_readme_work_one_after_the_other(elsewhere):
    commands = commands_of(ROOT / "README.md")
    assert commands[0] == "make up"

    carry_out(commands, elsewhere)


@pytest.mark.integration
def test_the_commands_of_the_runbooks_work(stack):
    commands = commands_of(ROOT / "docs/runbooks.md")
    assert commands

    carry_out(commands, {**os.environ, "POMONA_RUN": str(stack.layout.directory)})


def test_the_commands_of_contributing_work():
    commands = commands_of(ROOT / "CONTRIBUTING.md")
    assert commands

    carry_out(commands, dict(os.environ))


def test_the_readme_in_chinese_gives_the_same_commands():
    english, chinese = (blocks_of(ROOT / name) for name in TRANSLATIONS)

    assert [without_comments(block) for block in english if "make" in block] == [
        without_comments(block) for block in chinese if "make" in block
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=by_path)
def test_every_command_that_a_document_names_exists(path):
    targets = set(TARGET.findall((ROOT / "Makefile").read_text("utf-8")))
    commands = set(console.list_commands(None))

    for code in code_of(path):
        named = set(re.findall(r"(?:^|[\s&;])make ([a-z][a-z-]*)", f" {code}", re.MULTILINE))
        assert named <= targets, f"no such make target: {named - targets}"
        named = set(re.findall(r"(?:^|\s)pomona ([a-z][a-z-]*)", code, re.MULTILINE))
        assert named <= commands, f"no such command: {named - commands}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=by_path)
def test_every_link_of_a_document_leads_somewhere(path):
    for link in LINK.findall(prose_of(path)):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), link
        assert found.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors_of(found), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=by_path)
def test_every_module_that_is_run_by_name_exists(path):
    for code in code_of(path):
        for module in re.findall(r"python -m ([a-z_.]+)", code):
            name = module.replace(".", "/") + ".py"
            assert any(
                (ROOT / folder / name).exists()
                for folder in ("shared", "console", f"services/{module.partition('.')[0]}")
            ), module


def test_the_architecture_names_every_pair_that_reads():
    text = (ROOT / "docs/architecture.md").read_text("utf-8")

    for contracts in whole_chain():
        if contracts.sources:
            assert f"| {contracts.service} | {', '.join(contracts.sources)} |" in text


def test_every_decision_is_listed():
    listed = set(LINK.findall((ROOT / "docs/adr/README.md").read_text("utf-8")))

    assert listed == {path.name for path in (ROOT / "docs/adr").glob("[0-9]*.md")}


def carry_out(commands: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-eux", "-c", "\n".join(commands)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def commands_of(path: Path) -> list[str]:
    text = path.read_text("utf-8")
    blocks = [body for language, body in BLOCK.findall(text) if language == "console"]
    lines = "".join(blocks).splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def blocks_of(path: Path) -> list[str]:
    return [body for _, body in BLOCK.findall(path.read_text("utf-8"))]


def without_comments(block: str) -> list[str]:
    return [line.partition("#")[0].rstrip() for line in block.splitlines()]


def code_of(path: Path) -> list[str]:
    """Everything that is set as code, in blocks and within sentences."""
    return [*blocks_of(path), *re.findall(r"`([^`\n]+)`", prose_of(path))]


def prose_of(path: Path) -> str:
    return BLOCK.sub("", path.read_text("utf-8"))


def anchors_of(path: Path) -> set[str]:
    """The names that headings get where the documents are read."""
    headings = HEADING.findall(prose_of(path))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
