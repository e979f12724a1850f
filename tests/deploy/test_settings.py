"""What a service must be told from outside, it is told by Compose and by Kubernetes alike."""

import re
from pathlib import Path

import yaml


def needed(deploy: Path, service: str) -> set[str]:
    """Return the settings without a default."""
    text = (deploy.parent / "services" / service / service / "config.yaml").read_text()
    return set(re.findall(r"\$\{(POMONA_\w+)\}", text))


def test_compose_gives_every_needed_setting(deploy: Path, services: frozenset[str]) -> None:
    parts = yaml.safe_load((deploy / "compose/compose.yaml").read_text())["services"]
    for name in services:
        given = {setting.removesuffix("_FILE") for setting in parts[name]["environment"]}
        assert needed(deploy, name) <= given
        mounted = {
            # of a folder of secrets, the folder is named
            f"/run/secrets/{secret if isinstance(secret, str) else secret['target'].split('/')[0]}"
            for secret in parts[name]["secrets"]
        }
        volumes = {volume.split(":")[1] for volume in parts[name].get("volumes", ())}
        assert mounted | volumes == set(parts[name]["environment"].values())


def test_kubernetes_gives_every_needed_setting(deploy: Path, services: frozenset[str]) -> None:
    base = deploy / "k8s/base"
    for name in services:
        components = yaml.safe_load((base / name / "kustomization.yaml").read_text())["components"]
        given = set()
        for component in components:
            text = (base / name / component / "kustomization.yaml").read_text()
            [settings] = yaml.safe_load(text)["configMapGenerator"]
            given |= {line.partition("=")[0].removesuffix("_FILE") for line in settings["literals"]}
        assert needed(deploy, name) <= given


def test_the_entrypoint_knows_every_setting_that_may_come_as_a_file(deploy: Path) -> None:
    texts = [
        (deploy / "compose/compose.yaml").read_text(),
        (deploy / "k8s/base/service/kustomization.yaml").read_text(),
        (deploy / "k8s/base/people/kustomization.yaml").read_text(),
    ]
    used = {setting for text in texts for setting in re.findall(r"POMONA_\w+_FILE", text)}
    assert used == set(re.findall(r"POMONA_\w+_FILE", (deploy / "docker/entrypoint").read_text()))
