"""Who may talk to whom in the cluster: exactly the edges of the architecture."""

from typing import Any

import pytest

Manifests = list[dict[str, Any]]
Edge = tuple[str, str, str]  # from, to, port

NAME = "app.kubernetes.io/name"


def policies(manifests: Manifests) -> Manifests:
    return [manifest["spec"] for manifest in manifests if manifest["kind"] == "NetworkPolicy"]


def peer_of(peer: dict[str, Any]) -> str:
    """Name a peer by the one thing that its pods are chosen for."""
    [chosen] = peer["podSelector"]["matchExpressions"]
    assert "matchLabels" not in peer["podSelector"]
    if chosen["operator"] == "Exists":
        return str(chosen["key"])
    [value] = chosen["values"]
    return str(value)


def edges(manifests: Manifests) -> set[Edge]:
    found = set()
    for policy in policies(manifests):
        own = policy["podSelector"].get("matchLabels", {}).get(NAME, "service")
        for side, end in (("ingress", "from"), ("egress", "to")):
            for rule in policy.get(side, ()):
                for port in rule["ports"]:
                    for peer in rule[end]:
                        pair = (peer_of(peer), own) if side == "ingress" else (own, peer_of(peer))
                        found.add((*pair, f"{port['protocol']} {port['port']}"))
    return found


def edges_of_the_architecture(services: frozenset[str]) -> set[Edge]:
    """Prometheus asks every service; a service knows the broker and its own database, by name.

    Only identity reaches the broker's management, to make the terminals' accounts.
    """
    return {
        edge
        for service in services
        for edge in (
            ("prometheus", service, "TCP http"),
            (service, "kube-dns", "UDP 53"),
            (service, "kube-dns", "TCP 53"),
            (service, "rabbitmq", "TCP 5671"),
            (service, f"database.pomona/{service}", "TCP 5432"),
        )
    } | {(service, "rabbitmq", "TCP 15671") for service in services & {"identity"}}


def test_k6_the_template_has_the_edges_of_one_service(template: Manifests) -> None:
    assert edges(template) == edges_of_the_architecture(frozenset({"service"}))


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_k6_the_edges_are_those_of_the_architecture_and_no_others(
    overlay: str, request: pytest.FixtureRequest, services: frozenset[str]
) -> None:
    assert edges(request.getfixturevalue(overlay)) == edges_of_the_architecture(services)


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_k6_what_has_no_edge_is_denied(overlay: str, request: pytest.FixtureRequest) -> None:
    everything_denied = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert everything_denied in policies(request.getfixturevalue(overlay))
