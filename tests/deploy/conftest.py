"""The manifests as kubectl renders each overlay, and the template as its files stand."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
KUSTOMIZE_SINCE = (1, 21)
Manifests = list[dict[str, Any]]


@pytest.fixture(scope="session")
def deploy() -> Path:
    return DEPLOY


@pytest.fixture(scope="session")
def services() -> frozenset[str]:
    return frozenset(path.parent.name for path in DEPLOY.parent.glob("services/*/pyproject.toml"))


@pytest.fixture(scope="session")
def template() -> Manifests:
    """What every service is made from; without a name of its own it is valid as it stands."""
    files = sorted(DEPLOY.joinpath("k8s/base/service").glob("*.yaml"))
    return [yaml.safe_load(path.read_text()) for path in files if path.stem != "kustomization"]


@pytest.fixture(scope="session")
def local() -> Manifests:
    return _rendered("local")


@pytest.fixture(scope="session")
def production() -> Manifests:
    return _rendered("production")


@pytest.fixture(params=["template", "local", "production"])
def manifests(request: pytest.FixtureRequest) -> Manifests:
    """Every test that asks for this runs three times; without kubectl the template is left."""
    rendered: Manifests = request.getfixturevalue(request.param)
    return rendered


def _rendered(overlay: str) -> Manifests:
    if _kubectl_version() < KUSTOMIZE_SINCE:
        pytest.skip("rendering needs kubectl 1.21 or newer")
    command = ["kubectl", "kustomize", str(DEPLOY / "k8s/overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def _kubectl_version() -> tuple[int, int]:
    if shutil.which("kubectl") is None:
        return (0, 0)
    command = ["kubectl", "version", "--client", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    version = json.loads(done.stdout)["clientVersion"]
    return int(version["major"]), int(version["minor"].rstrip("+"))
