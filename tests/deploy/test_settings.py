"""What a service must be told from outside, it is told by Compose and by Kubernetes alike."""

import re
from pathlib import Path

import yaml


def needed(deploy: Path, services: frozenset[str]) -> set[str]:
    """Return the settings without a default."""
    root = deploy.parent / "services"
    texts = [(root / name / name / "config.yaml").read_text() for name in services]
    return {setting for text in texts for setting in re.findall(r"\$\{(POMONA_\w+)\}", text)}


def test_compose_gives_every_needed_setting(deploy: Path, services: frozenset[str]) -> None:
    parts = yaml.safe_load((deploy / "compose/compose.yaml").read_text())["services"]
    for name in services:
        given = {setting.removesuffix("_FILE") for setting in parts[name]["environment"]}
        assert needed(deploy, services) <= given
        mounted = {
            secret if isinstance(secret, str) else secret["target"]
            for secret in parts[name]["secrets"]
        }
        paths = parts[name]["environment"].values()
        assert {f"/run/secrets/{secret}" for secret in mounted} == set(paths)


def test_kubernetes_gives_every_needed_setting(deploy: Path, services: frozenset[str]) -> None:
    component = yaml.safe_load((deploy / "k8s/base/service/kustomization.yaml").read_text())
    [settings] = component["configMapGenerator"]
    given = {literal.partition("=")[0].removesuffix("_FILE") for literal in settings["literals"]}
    assert needed(deploy, services) <= given


def test_the_entrypoint_knows_every_setting_that_may_come_as_a_file(deploy: Path) -> None:
    texts = [
        (deploy / "compose/compose.yaml").read_text(),
        (deploy / "k8s/base/service/kustomization.yaml").read_text(),
    ]
    used = {setting for text in texts for setting in re.findall(r"POMONA_\w+_FILE", text)}
    assert used == set(re.findall(r"POMONA_\w+_FILE", (deploy / "docker/entrypoint").read_text()))
