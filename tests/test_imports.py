"""The import rules hold, and would be missed if they did not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SERVICES = ("orders", "inventory", "crm", "aftersales", "analytics", "identity")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their rules, free to be broken."""
    for package in ("shared", "console", *(f"services/{name}" for name in SERVICES)):
        shutil.copytree(
            ROOT / package,
            tmp_path / package,
            ignore=shutil.ignore_patterns("__pycache__", "tests"),
        )
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def test_the_import_rules_hold(copy):
    checked = lint_imports(copy)

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("module", "line", "sentence"),
    [
        (
            "services/orders/orders/service.py",
            "import inventory",
            "Services meet on the wire, never in an import",
        ),
        ("shared/pomona/values.py", "import orders", "The chassis knows no service"),
        (
            "services/crm/crm/application.py",
            "import kombu",
            "Only the doors know the transport",
        ),
        (
            "services/orders/orders/domain/__init__.py",
            "import psycopg",
            "The domain knows only eventsourcing, the standard library and shared values",
        ),
    ],
)
def test_a_broken_rule_is_named(copy, module, line, sentence):
    with (copy / module).open("a") as file:
        file.write(f"\n{line}\n")

    checked = lint_imports(copy)

    assert checked.returncode == 1
    assert f"{sentence} BROKEN" in checked.stdout


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    packages = [tree / "shared", tree / "console", *(tree / "services" / s for s in SERVICES)]
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, packages))},
        capture_output=True,
        text=True,
        check=False,
    )
