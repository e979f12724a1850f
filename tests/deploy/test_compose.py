"""The Compose file: who waits for whom, where passwords come from, what is reachable."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from pomona_console.broker_definitions import contracts_of_all, definitions
from pomona_console.layout import SERVICES

Parts = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def compose(deploy: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((deploy / "compose/compose.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def parts(compose: dict[str, Any]) -> Parts:
    found: Parts = compose["services"]
    return found


@pytest.fixture(scope="module")
def made(deploy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets as the documented command makes them."""
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    make_secrets(deploy, folder)
    return folder


def make_secrets(deploy: Path, folder: Path) -> None:
    subprocess.run([sys.executable, deploy / "compose/make_secrets.py", folder], check=True)


def test_there_is_a_migration_for_every_service_beside_the_servers(
    parts: Parts, services: frozenset[str]
) -> None:
    servers = {"postgres", "rabbitmq", "prometheus", "databases"}
    assert set(parts) == servers | services | {f"{name}-migration" for name in services}


def test_a_service_starts_when_its_tables_are_made_and_the_broker_is_there(
    parts: Parts, services: frozenset[str]
) -> None:
    assert parts["databases"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in services:
        assert parts[f"{name}-migration"]["depends_on"] == {
            "databases": {"condition": "service_completed_successfully"}
        }
        assert parts[name]["depends_on"] == {
            "rabbitmq": {"condition": "service_healthy"},
            f"{name}-migration": {"condition": "service_completed_successfully"},
        }


def test_whatever_is_waited_for_can_say_that_it_is_healthy(parts: Parts) -> None:
    awaited = {
        other
        for part in parts.values()
        for other, how in part.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }
    assert all("test" in parts[name]["healthcheck"] for name in awaited)


def test_a_service_and_its_migration_share_one_image_built_for_it(
    parts: Parts, services: frozenset[str], deploy: Path
) -> None:
    for name in services:
        service, migration = parts[name], parts[f"{name}-migration"]
        assert service["image"] == migration["image"]
        assert service["build"] == migration["build"]
        assert service["build"]["args"] == {"SERVICE": name}
        context = deploy.joinpath("compose", service["build"]["context"]).resolve()
        assert (context / service["build"]["dockerfile"]).is_file()
        assert migration["command"] == ["pomona.migrate"]
        assert migration["secrets"][0] == f"{name}.password"
        assert f"{name}.password" not in service["secrets"]


def test_a_service_is_confined(parts: Parts, services: frozenset[str]) -> None:
    for name in services:
        assert parts[name]["read_only"] is True
        assert parts[name]["cap_drop"] == ["ALL"]
        assert parts[name]["security_opt"] == ["no-new-privileges:true"]


def test_every_image_names_a_version(parts: Parts) -> None:
    for part in parts.values():
        assert re.fullmatch(r"[\w/.-]+:v?\d[\w.-]*", part["image"])


def test_only_this_machine_reaches_a_published_port(parts: Parts) -> None:
    published = [port for part in parts.values() for port in part.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_no_setting_holds_a_password(parts: Parts) -> None:
    for part in parts.values():
        for name, value in part.get("environment", {}).items():
            assert urlsplit(value).password is None
            if "PASSWORD" in name:
                assert value.startswith("/run/secrets/")


def test_every_secret_that_is_used_is_declared_and_made(
    compose: dict[str, Any], parts: Parts, made: Path
) -> None:
    used = {
        secret if isinstance(secret, str) else secret["source"]
        for part in parts.values()
        for secret in part.get("secrets", ())
    }
    declared = compose["secrets"]
    assert set(declared) == used
    assert {secret["file"] for secret in declared.values()} == {f"secrets/{name}" for name in used}
    assert all((made / name).read_text() for name in used)


def test_every_mounted_file_exists(compose: dict[str, Any], parts: Parts, deploy: Path) -> None:
    mounted = [volume.split(":")[0] for volume in parts["prometheus"]["volumes"]]
    files = [config["file"] for config in compose["configs"].values()]
    for name in [*files, *(path for path in mounted if path.startswith("."))]:
        assert (deploy / "compose" / name).exists()


def test_made_secrets_are_never_in_the_repository_and_never_made_twice(
    deploy: Path, made: Path
) -> None:
    before = {path.name: path.read_text() for path in made.iterdir()}

    make_secrets(deploy, made)

    assert {path.name: path.read_text() for path in made.iterdir()} == before
    assert (deploy / "compose/.gitignore").read_text() == "secrets/\n"
    assert made.stat().st_mode & 0o077 == 0


def test_the_broker_is_told_what_the_contracts_say_with_the_passwords_that_were_made(
    made: Path, parts: Parts, services: frozenset[str]
) -> None:
    told = json.loads((made / "rabbitmq_definitions").read_text())
    wanted = definitions(contracts_of_all(SERVICES), vhost="pomona", password=lambda _: "x")
    hashes = {user["name"]: user.pop("password_hash") for user in told["users"]}
    for user in wanted["users"]:
        del user["password_hash"]

    assert told == wanted
    assert set(hashes) == {"pomona", "accounts", "enrolment"} | {f"service-{n}" for n in services}
    for name in hashes.keys() - {"enrolment"}:
        assert is_hash_of(hashes[name], (made / f"{name}.password").read_text())
    for service in services:
        uri = urlsplit(parts[service]["environment"]["POMONA_AMQP_URI"])
        assert (uri.username, uri.path) == (f"service-{service}", "/pomona")


def is_hash_of(stored: str, password: str) -> bool:
    """Say whether RabbitMQ would take the password: a salt of four bytes precedes the digest."""
    salt, digest = base64.b64decode(stored)[:4], base64.b64decode(stored)[4:]
    return hashlib.sha256(salt + password.encode()).digest() == digest


def test_a_change_of_contracts_reaches_the_definitions_that_were_made_before(
    deploy: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    make_secrets(deploy, folder)
    told = json.loads((folder / "rabbitmq_definitions").read_text())
    old = {**told, "permissions": told["permissions"][:-1]}
    (folder / "rabbitmq_definitions").write_text(json.dumps(old))

    make_secrets(deploy, folder)

    told_now = json.loads((folder / "rabbitmq_definitions").read_text())
    assert told_now["permissions"] == told["permissions"]


def test_a_migration_signs_in_as_the_owner_and_a_service_does_not(
    parts: Parts, services: frozenset[str]
) -> None:
    for name in services:
        for part, role in ((f"{name}-migration", name), (name, f"{name}_app")):
            environment = parts[part]["environment"]
            dsn = urlsplit(environment["POMONA_DATABASE_DSN"])
            assert (dsn.username, dsn.hostname, dsn.path) == (role, "postgres", f"/{name}")
            password = environment["POMONA_DATABASE_PASSWORD_FILE"]
            assert password == f"/run/secrets/{role}.password"


def test_every_database_that_a_service_uses_is_made(parts: Parts, services: frozenset[str]) -> None:
    [made] = re.findall(r"for name in ([\w ]+);", parts["databases"]["command"][2])
    used = {
        urlsplit(value).path[1:]
        for name in services
        for value in parts[name]["environment"].values()
        if value.startswith("postgresql:")
    }
    assert set(made.split()) == used


def test_prometheus_asks_every_service(
    parts: Parts, deploy: Path, services: frozenset[str]
) -> None:
    scraping = yaml.safe_load((deploy / "prometheus/prometheus.yml").read_text())
    targets = {
        target: static["labels"]["job"]
        for job in scraping["scrape_configs"]
        if job["job_name"] == "services"
        for static in job["static_configs"]
        for target in static["targets"]
    }
    assert targets == {f"{name}:8000": name for name in services}
    assert all(parts[name]["expose"] == ["8000"] for name in services)
