"""What the manifests promise the cluster: probes, drain, confinement, migrations, secrets."""

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import kubernetes_validate
import pytest

from pomona.eventstore import environment

Manifest = dict[str, Any]
Manifests = list[Manifest]
FROM_OPERATORS = "monitoring.coreos.com/"


def of_kind(manifests: Manifests, kind: str) -> Manifests:
    found = [manifest for manifest in manifests if manifest["kind"] == kind]
    assert found, f"no {kind}"
    return found


def pods(manifests: Manifests) -> Iterator[tuple[Manifest, Manifest]]:
    """Yield the spec of each pod with that of its only container."""
    for workload in of_kind(manifests, "Deployment") + of_kind(manifests, "Job"):
        pod = workload["spec"]["template"]["spec"]
        [container] = pod["containers"]
        yield pod, container


def by_name(manifests: Manifests, kind: str) -> dict[str, Manifest]:
    return {m["metadata"]["labels"]["app.kubernetes.io/name"]: m for m in of_kind(manifests, kind)}


def seconds_a_service_may_take_to_stop() -> int:
    """Read it from the text: importing the entry module would patch this process."""
    spec = importlib.util.find_spec("pomona.run")
    assert spec is not None
    assert spec.origin is not None
    [seconds] = re.findall(r"^STOP_SECONDS = (\d+)$", Path(spec.origin).read_text(), re.MULTILINE)
    return int(seconds)


@pytest.mark.parametrize("version", ["1.27", kubernetes_validate.latest_version()])
def test_every_manifest_is_valid_for_the_oldest_and_the_newest_cluster(
    manifests: Manifests, version: str
) -> None:
    for manifest in manifests:
        if not manifest["apiVersion"].startswith(FROM_OPERATORS):
            kubernetes_validate.validate(manifest, version, strict=True)


def test_k1_readiness_asks_for_broker_and_database_and_liveness_for_neither(
    manifests: Manifests,
) -> None:
    for deployment in of_kind(manifests, "Deployment"):
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        paths = {
            kind: container[f"{kind}Probe"]["httpGet"]
            for kind in ("startup", "readiness", "liveness")
        }
        assert paths == {
            "startup": {"path": "/healthz", "port": "http"},
            "readiness": {"path": "/readyz", "port": "http"},
            "liveness": {"path": "/healthz", "port": "http"},
        }
        assert container["ports"] == [{"name": "http", "containerPort": 8000}]


def test_k2_a_pod_has_longer_to_stop_than_its_service_needs(manifests: Manifests) -> None:
    for deployment in of_kind(manifests, "Deployment"):
        grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert 30 <= grace <= 60
        assert grace >= seconds_a_service_may_take_to_stop() + 10


def test_k3_every_pod_is_confined_as_pod_security_restricted_asks(manifests: Manifests) -> None:
    for pod, container in pods(manifests):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] >= 10000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert {v["name"] for v in pod["volumes"] if "emptyDir" in v} == {"tmp"}
        assert mounts["tmp"]["mountPath"] == "/tmp"
        assert mounts["secrets"]["readOnly"] is True


def test_k3_every_service_has_an_account_of_its_own_without_a_token(manifests: Manifests) -> None:
    accounts = {m["metadata"]["name"]: m for m in of_kind(manifests, "ServiceAccount")}
    used = [pod["serviceAccountName"] for pod, _ in pods(manifests)]
    assert set(used) == set(accounts)
    assert all(used.count(name) == 2 for name in accounts), "one service and its migration each"
    assert all(m["automountServiceAccountToken"] is False for m in accounts.values())


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_k3_the_namespace_admits_only_restricted_pods(
    overlay: str, request: pytest.FixtureRequest
) -> None:
    [namespace] = of_kind(request.getfixturevalue(overlay), "Namespace")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_k4_every_container_asks_for_memory_and_has_a_limit(manifests: Manifests) -> None:
    for _, container in pods(manifests):
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert set(container["resources"]["limits"]) == {"memory"}, "a CPU limit only throttles"


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_k4_every_image_is_one_version_of_one_service(
    overlay: str, request: pytest.FixtureRequest, services: frozenset[str]
) -> None:
    images = {container["image"] for _, container in pods(request.getfixturevalue(overlay))}
    matches = [
        re.fullmatch(r"pomona/(\w+)(:\d+\.\d+\.\d+|@sha256:[0-9a-f]{64})", i) for i in images
    ]
    assert {match and match[1] for match in matches} == services


def test_k5_a_roll_out_takes_no_replica_away_and_replicas_stand_apart(
    manifests: Manifests,
) -> None:
    budgets = [m["spec"] for m in of_kind(manifests, "PodDisruptionBudget")]
    for deployment in of_kind(manifests, "Deployment"):
        spec = deployment["spec"]
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert {"maxUnavailable": 1, "selector": spec["selector"]} in budgets
        spread = spec["template"]["spec"]["topologySpreadConstraints"]
        assert [constraint["topologyKey"] for constraint in spread] == [
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        ]
        assert all(constraint["labelSelector"] == spec["selector"] for constraint in spread)


def test_k5_production_runs_at_least_two_replicas_of_everything(production: Manifests) -> None:
    assert all(m["spec"]["replicas"] >= 2 for m in of_kind(production, "Deployment"))


def test_k10_tables_are_made_by_a_job_and_never_by_a_starting_service(
    manifests: Manifests,
) -> None:
    services = of_kind(manifests, "Deployment")
    jobs = of_kind(manifests, "Job")

    def arguments(workloads: Manifests) -> list[list[str]]:
        return [w["spec"]["template"]["spec"]["containers"][0]["args"] for w in workloads]

    assert arguments(services) == [["pomona.run"]] * len(services)
    assert arguments(jobs) == [["pomona.migrate"]] * len(services)
    assert environment("postgresql://orders@localhost/orders")["CREATE_TABLE"] == "n"


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_k10_a_migration_runs_the_image_of_its_service(
    overlay: str, request: pytest.FixtureRequest
) -> None:
    def images(kind: str) -> dict[str, str]:
        found = by_name(request.getfixturevalue(overlay), kind)
        return {
            name: m["spec"]["template"]["spec"]["containers"][0]["image"]
            for name, m in found.items()
        }

    assert images("Job") == images("Deployment")


def test_k11_secrets_are_mounted_by_reference_and_never_written_down(
    manifests: Manifests,
) -> None:
    assert not [m for m in manifests if m["kind"] == "Secret"]
    for pod, container in pods(manifests):
        for setting in container["env"]:
            if "valueFrom" in setting:
                assert set(setting["valueFrom"]) == {"configMapKeyRef"}
            else:
                assert urlsplit(setting["value"]).password is None
        [mounted] = [v["projected"]["sources"] for v in pod["volumes"] if v["name"] == "secrets"]
        assert {kind for source in mounted for kind in source} == {"secret", "configMap"}


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_k11_a_service_reads_its_own_secret_and_its_migration_another(
    overlay: str, request: pytest.FixtureRequest
) -> None:
    rendered = request.getfixturevalue(overlay)
    for kind, expected in {
        "Deployment": ["{}-secrets", "identity", "authority"],
        "Job": ["{}-migration", "authority"],
    }.items():
        for name, workload in by_name(rendered, kind).items():
            [volume] = [
                v for v in workload["spec"]["template"]["spec"]["volumes"] if v["name"] == "secrets"
            ]
            mounted = [
                next(iter(source.values()))["name"] for source in volume["projected"]["sources"]
            ]
            assert mounted == [name_.format(name) for name_ in expected]


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_s10_every_connection_is_encrypted_and_its_other_end_verified(
    overlay: str, request: pytest.FixtureRequest
) -> None:
    for _, container in pods(request.getfixturevalue(overlay)):
        for setting in container["env"]:
            uri = urlsplit(setting.get("value", ""))
            asked = dict(parse_qsl(uri.query))
            if uri.scheme == "postgresql":
                assert asked["sslmode"] == "verify-full"
                assert asked["sslrootcert"] == "/run/secrets/pomona/ca.crt"
            elif uri.scheme:
                assert uri.scheme == "amqps"
                assert asked["cacertfile"] == "/run/secrets/pomona/ca.crt"


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_s12_a_migration_is_the_owner_and_a_service_is_not(
    overlay: str, request: pytest.FixtureRequest
) -> None:
    def users(workload: Manifest) -> set[str | None]:
        [container] = workload["spec"]["template"]["spec"]["containers"]
        uris = [urlsplit(setting.get("value", "")) for setting in container["env"]]
        return {uri.username for uri in uris if uri.scheme == "postgresql"}

    rendered = request.getfixturevalue(overlay)
    for job in of_kind(rendered, "Job"):
        assert users(job) <= {"$(POMONA_SERVICE)", "$(POMONA_SERVICE)_keys"}
    for deployment in of_kind(rendered, "Deployment"):
        assert users(deployment) <= {"$(POMONA_SERVICE)_app", "$(POMONA_SERVICE)_keys_app"}


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_k13_every_overlay_has_every_service_with_all_its_parts(
    overlay: str, request: pytest.FixtureRequest, services: frozenset[str]
) -> None:
    rendered = request.getfixturevalue(overlay)
    parts = [
        "ConfigMap", "Deployment", "Job", "PodDisruptionBudget", "Service", "ServiceAccount",
    ]  # fmt: skip
    for kind in parts:
        assert set(by_name(rendered, kind)) == services
    for name, settings in by_name(rendered, "ConfigMap").items():
        assert settings["data"]["POMONA_SERVICE"] == name
        [container] = by_name(rendered, "Deployment")[name]["spec"]["template"]["spec"][
            "containers"
        ]
        assert container["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_no_selector_finds_a_pod_of_another_service_or_a_migration(
    overlay: str, request: pytest.FixtureRequest
) -> None:
    rendered = request.getfixturevalue(overlay)

    def labels(workload: Manifest) -> dict[str, str]:
        found: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
        return found

    selector_of: dict[str, Callable[[Manifest], dict[str, str]]] = {
        "Service": lambda m: m["spec"]["selector"],
        "Deployment": lambda m: m["spec"]["selector"]["matchLabels"],
        "PodDisruptionBudget": lambda m: m["spec"]["selector"]["matchLabels"],
    }
    workloads = of_kind(rendered, "Deployment") + of_kind(rendered, "Job")
    for kind, selector in selector_of.items():
        for name, manifest in by_name(rendered, kind).items():
            found = [w for w in workloads if selector(manifest).items() <= labels(w).items()]
            assert [w["metadata"]["name"] for w in found] == [f"{name}-service"]


def test_k12_the_pod_monitor_finds_every_service_and_names_its_job(
    production: Manifests, services: frozenset[str]
) -> None:
    [monitor] = of_kind(production, "PodMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    found = set()
    for deployment in of_kind(production, "Deployment"):
        pod = deployment["spec"]["template"]
        ports = [port["name"] for port in pod["spec"]["containers"][0]["ports"]]
        if wanted <= pod["metadata"]["labels"].items():
            found.add(pod["metadata"]["labels"][monitor["spec"]["jobLabel"]])
            assert [end["port"] for end in monitor["spec"]["podMetricsEndpoints"]] == ports
    assert found == services
