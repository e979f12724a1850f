"""Writes docs/features.md: what the product does, and the tests that show it: `make features`."""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SENTENCES = ROOT / "docs" / "features.yaml"
DOCUMENT = ROOT / "docs" / "features.md"

CHAPTERS = {
    "ORD": "Selling",
    "INV": "Stock",
    "AFT": "After sales",
    "CRM": "Customers",
    "ANA": "Figures",
    "SYS": "All of it",
}

_OPENING = """\
# Features

Written by `make features` from [features.yaml](features.yaml) and the tests marked
`@pytest.mark.feature("...")`; a test keeps it fresh. A feature stands here when a test shows it,
and its sentence says what the product does of it today.
"""


@dataclass(frozen=True, order=True)
class Shown:
    """A test that shows a feature."""

    path: Path
    test: str

    def __str__(self) -> str:
        sentence = self.test.removeprefix("test_").replace("_", " ")
        return f"[{sentence}](../{self.path.as_posix()})"


def sentences() -> dict[str, str]:
    """Return what the product does, by the id of the feature."""
    told: dict[str, str] = yaml.safe_load(SENTENCES.read_text("utf-8"))
    return told


def shown() -> dict[str, list[Shown]]:
    """Return the tests that show each feature. The test files are read, not imported."""
    found: dict[str, list[Shown]] = defaultdict(list)
    for folder in ("shared", "console", "services", "tests"):
        for path in sorted((ROOT / folder).rglob("test_*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            for test in ast.walk(tree):
                if isinstance(test, ast.FunctionDef):
                    for feature in _features_of(test):
                        found[feature].append(Shown(path.relative_to(ROOT), test.name))
    return dict(found)


def _features_of(test: ast.FunctionDef) -> Iterator[str]:
    for decorator in test.decorator_list:
        match decorator:
            case ast.Call(func=ast.Attribute(attr="feature"), args=ids):
                yield from (ast.literal_eval(one) for one in ids)


def document(told: Mapping[str, str], tests: Mapping[str, list[Shown]]) -> str:
    """Return the text of docs/features.md."""
    parts = [_OPENING]
    for prefix, chapter in CHAPTERS.items():
        ids = sorted(feature for feature in told if feature.startswith(f"{prefix}-"))
        if ids:
            rows = [f"| {one} | {told[one]} | {_list(tests.get(one, []))} |" for one in ids]
            parts += [f"## {chapter}\n", "| id | what the product does | shown by |\n|---|---|---|"]
            parts += [*rows, ""]
    return "\n".join(parts)


def _list(tests: list[Shown]) -> str:
    return "<br>".join(map(str, sorted(tests)))


def main() -> int:
    """Write the document."""
    DOCUMENT.write_text(document(sentences(), shown()), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
