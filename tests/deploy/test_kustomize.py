"""The files below deploy/k8s fit together, as far as can be seen without rendering them."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

OVERLAYS = ("local", "production")
BESIDES = {"identity": ["../accounts"], "crm": ["../people"], "aftersales": ["../people"]}


def kustomization(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return found


def files_reached(folder: Path) -> set[Path]:
    """Return every file that a kustomization is made of, itself among them."""
    reached = {folder / "kustomization.yaml"}
    parts = kustomization(folder)
    for name in [*parts.get("resources", ()), *parts.get("components", ())]:
        target = (folder / name).resolve()
        reached |= files_reached(target) if target.is_dir() else {target}
    return reached


def test_every_file_belongs_to_an_overlay_and_every_named_file_exists(deploy: Path) -> None:
    written = set(deploy.joinpath("k8s").rglob("*.yaml"))
    reached = {
        path for overlay in OVERLAYS for path in files_reached(deploy / "k8s/overlays" / overlay)
    }
    assert reached == written


def test_the_base_has_a_folder_for_every_service_which_says_its_name_and_nothing_else(
    deploy: Path, services: frozenset[str]
) -> None:
    base = deploy / "k8s/base"
    assert services < set(kustomization(base)["resources"])
    for name in services:
        assert kustomization(base / name) == {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "components": ["../service", *BESIDES.get(name, ())],
            "configMapGenerator": [{"name": "settings", "literals": [f"POMONA_SERVICE={name}"]}],
            "namePrefix": f"{name}-",
            "labels": [{"pairs": {"app.kubernetes.io/name": name}, "includeSelectors": True}],
        }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_runs_the_versions_that_the_packages_have(
    overlay: str, deploy: Path, services: frozenset[str]
) -> None:
    images = kustomization(deploy / "k8s/overlays" / overlay)["images"]
    assert {image["name"]: image["newTag"] for image in images} == {
        f"pomona/{name}": version_of(deploy, name) for name in services
    }


def version_of(deploy: Path, service: str) -> str:
    text = deploy.parent.joinpath("services", service, "pyproject.toml").read_text()
    return str(tomllib.loads(text)["project"]["version"])
