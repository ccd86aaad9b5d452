"""The controller's webhook: it gives new Pods of a load balancer's Services a readiness gate for each target group.

https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate/. Only in namespaces
with the label for it, and only where the target group is there before the Pod.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.cluster import webhooks
from tests.cluster.alb.annotated import GATE
from tests.cluster.alb.model import Object
from tests.cluster.keys import Pair

PORT = 9443
LABEL = "elbv2.k8s.aws/pod-readiness-gate-inject"

Gates = Callable[[str, Mapping[str, str]], Sequence[str]]
"""Namespace and labels of a Pod → names of the target groups whose Service selects it."""


def configuration(authority: bytes) -> Object:
    """What has the API server ask this webhook."""
    where = {"matchLabels": {LABEL: "enabled"}}
    made = webhooks.configuration("mpod.elbv2.k8s.aws", PORT, "/mutate-v1-pod", authority, where)
    return {**made, "metadata": {"name": "aws-load-balancer-webhook"}}


def serve(place: Path, gates: Gates) -> ThreadingHTTPServer:
    """Answer with ``place/own.crt``, until it is shut down."""
    return webhooks.serve(PORT, Pair(place / "own.crt", place / "own.key"), lambda request: added(request, gates))


def added(request: Mapping[str, Any], gates: Gates) -> webhooks.Patch:
    """The gates that a Pod lacks."""
    pod = request["object"]
    has = pod["spec"].get("readinessGates", [])
    names = [GATE + name for name in gates(request["namespace"], pod["metadata"].get("labels", {}))]
    new = [{"conditionType": name} for name in names if {"conditionType": name} not in has]
    return [{"op": "add", "path": "/spec/readinessGates", "value": [*has, *new]}] if new else []
