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
        assert needed(deploy, name) <= set(parts[name]["environment"])


def test_compose_mounts_what_settings_name_and_nothing_else(
    deploy: Path, services: frozenset[str]
) -> None:
    parts = yaml.safe_load((deploy / "compose/compose.yaml").read_text())["services"]
    for name in (part for service in services for part in (service, f"{service}-migration")):
        mounted = {
            # of a folder of secrets, the folder is named
            f"/run/secrets/{secret if isinstance(secret, str) else secret['target'].split('/')[0]}"
            for secret in parts[name]["secrets"]
        } | {volume.split(":")[1] for volume in parts[name].get("volumes", ())}
        named = {v for v in parts[name]["environment"].values() if v.startswith("/")}
        assert mounted == named


def test_kubernetes_gives_every_needed_setting(deploy: Path, services: frozenset[str]) -> None:
    base = deploy / "k8s/base"
    [container] = yaml.safe_load((base / "service/deployment.yaml").read_text())["spec"][
        "template"
    ]["spec"]["containers"]
    everybodys = {setting["name"] for setting in container["env"]}
    for name in services:
        components = yaml.safe_load((base / name / "kustomization.yaml").read_text())["components"]
        given = set(everybodys)
        for component in components:
            parts = yaml.safe_load((base / name / component / "kustomization.yaml").read_text())
            [settings] = parts["configMapGenerator"]
            given |= {line.partition("=")[0] for line in settings["literals"]}
            patches = "".join(patch["patch"] for patch in parts.get("patches", ()))
            given |= set(re.findall(r"name: (POMONA_\w+)", patches))
        assert needed(deploy, name) <= given
