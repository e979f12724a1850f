#!/usr/bin/env python3
"""Writes the rule files as the one PrometheusRule that the Prometheus operator reads."""

from pathlib import Path
from textwrap import indent

HERE = Path(__file__).parent
TARGET = HERE.parent / "k8s/overlays/production/prometheus-rule.yaml"
HEAD = """\
# Generated from deploy/prometheus/rules by deploy/prometheus/prometheus_rule.py; do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: pomona
  namespace: pomona
spec:
  groups:
"""


def prometheus_rule() -> str:
    """Return the resource: every group of every file, in the order of the files' names."""
    files = sorted(HERE.joinpath("rules").glob("*.yaml"))
    groups = [path.read_text("utf-8").partition("\ngroups:\n")[2] for path in files]
    return HEAD + "\n".join(indent(group, "  ") for group in groups)


if __name__ == "__main__":
    TARGET.write_text(prometheus_rule(), "utf-8")
