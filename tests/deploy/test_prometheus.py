"""The alerts: tested by promtool, explained in the runbooks, and reading what is exported."""

import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY, generate_latest

from pomona import metrics

NOT_OURS = {"up"}
ALWAYS_FIRES = "Watchdog"
Rule = dict[str, Any]


@pytest.fixture(scope="module")
def rules(deploy: Path) -> list[Rule]:
    return [
        rule
        for path in sorted(deploy.glob("prometheus/rules/*.yaml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


@pytest.fixture(scope="module")
def alerts(rules: list[Rule]) -> dict[str, Rule]:
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def promtool(*arguments: object, stdin: str = "") -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is missing: it is in the package prometheus")
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_the_configuration_and_every_rule(deploy: Path) -> None:
    promtool("check", "config", deploy / "prometheus/prometheus.yml")
    promtool("check", "rules", *sorted(deploy.glob("prometheus/rules/*.yaml")))


@pytest.mark.parametrize("file", ["processes", "calls", "calls_over_days", "events", "safety"])
def test_every_alert_fires_when_it_should_and_only_then(file: str, deploy: Path) -> None:
    promtool("test", "rules", deploy / f"prometheus/tests/{file}_test.yaml")


def test_no_file_of_cases_is_forgotten(deploy: Path) -> None:
    files = {path.name for path in deploy.glob("prometheus/tests/*")}
    [marker] = test_every_alert_fires_when_it_should_and_only_then.pytestmark  # type: ignore[attr-defined]
    assert files == {f"{name}_test.yaml" for name in marker.args[1]}


def test_every_alert_has_a_case_in_which_it_is_quiet_then_fires_then_resolves(
    deploy: Path, alerts: dict[str, Rule]
) -> None:
    courses: dict[str, list[list[bool]]] = {}
    for path in deploy.glob("prometheus/tests/*.yaml"):
        for case in yaml.safe_load(path.read_text())["tests"]:
            evaluations = case["alert_rule_test"]
            [alert] = {evaluation["alertname"] for evaluation in evaluations}
            course = [bool(evaluation["exp_alerts"]) for evaluation in evaluations]
            courses.setdefault(alert, []).append(course)

    assert set(courses) == set(alerts)
    assert courses.pop(ALWAYS_FIRES) == [[True, True]]
    for alert, found in courses.items():
        ends = [(course[0], any(course), course[-1]) for course in found]
        assert (False, True, False) in ends, alert


def test_every_alert_says_what_it_means_how_urgent_it_is_and_where_to_read_on(
    deploy: Path, alerts: dict[str, Rule]
) -> None:
    text = deploy.parent.joinpath("docs/runbooks.md").read_text()
    pages = re.findall(r"^### (\w+)$", text, flags=re.MULTILINE)
    assert sorted(pages) == sorted(alerts)
    for name, alert in alerts.items():
        assert alert["labels"]["severity"] in {"page", "ticket", "none"}
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
        assert alert["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"


def test_every_metric_is_named_and_described_as_prometheus_asks() -> None:
    promtool("check", "metrics", stdin=generate_latest().decode())


def test_every_metric_that_a_rule_reads_is_exported(rules: list[Rule]) -> None:
    exported = {
        name for family in REGISTRY.collect() for name in names_of(family.name, family.type)
    }
    recorded = {rule["record"] for rule in rules if "record" in rule}
    words = {
        word for rule in rules for word in re.findall(r"[\w:]*pomona_[\w:]+|\bup\b", rule["expr"])
    }
    assert words <= exported | recorded | NOT_OURS
    assert recorded <= words, "a recorded series that nothing reads"


def names_of(family: str, kind: str) -> set[str]:
    """Return the names under which a family is exposed."""
    if kind == "counter":
        return {f"{family}_total"}
    if kind == "histogram":
        return {f"{family}_bucket", f"{family}_sum", f"{family}_count"}
    return {family}


def test_the_promised_latency_is_an_edge_of_a_bucket(rules: list[Rule]) -> None:
    edges = {float(edge) for rule in rules for edge in re.findall(r'le="([\d.]+)"', rule["expr"])}
    assert edges == {0.3}
    assert edges <= set(metrics.SECONDS)


def test_the_operators_rule_is_fresh(deploy: Path) -> None:
    generator = runpy.run_path(str(deploy / "prometheus/prometheus_rule.py"))
    written = deploy / "k8s/overlays/production/prometheus-rule.yaml"
    assert written.read_text() == generator["prometheus_rule"](), (
        "run deploy/prometheus/prometheus_rule.py"
    )


def test_the_operators_rule_holds_the_tested_groups(deploy: Path, rules: list[Rule]) -> None:
    written = deploy / "k8s/overlays/production/prometheus-rule.yaml"
    groups = yaml.safe_load(written.read_text())["spec"]["groups"]
    assert [rule for group in groups for rule in group["rules"]] == rules
