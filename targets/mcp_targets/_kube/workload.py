"""The tool's own objects: what runs it, how many of it, who it is in the cluster, and where it is found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.target import DesiredInput
from mcp_targets._kube.names import MANAGER, Names
from mcp_targets._kube.pods import addressed, pod_labels, template
from mcp_targets._kube.settings import CONFIG_FILE
from mcp_targets._kube.site import Object, Site

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

SERVICE_PORT: Final = 80
COPIES: Final = 2
"""Fewest copies where the manifest does not say: one may go, with its node or by an update, and clients are served."""

_HISTORY: Final = 5
_SLACK: Final = 60
"""Seconds beside the start that a rollout may take for a Pod: a node is found or made, the image is pulled."""


def namespace(site: Site) -> Object:
    """The namespace, which other tools may share: nothing of one tool stands on it."""
    enforced = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    labels = {"app.kubernetes.io/managed-by": MANAGER, **enforced, **site.namespace_labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": site.namespace, "labels": labels}}


def service_account(names: Names, site: Site) -> Object:
    """Who the Pods are; their token is mounted where the manifest asks for rights, by the Pod."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _meta(names, site, annotations=site.service_account),
        "automountServiceAccountToken": False,
    }


def rights(manifest: Manifest, names: Names, site: Site) -> list[Object]:
    """Role and RoleBinding of ``[permissions.kubernetes]``; nothing where it asks for nothing."""
    if not manifest.permissions.kubernetes:
        return []
    rules = [
        {
            "apiGroups": list(rule.groups),
            "resources": list(rule.resources),
            "verbs": list(rule.verbs),
            **({"resourceNames": list(rule.names)} if rule.names else {}),
        }
        for rule in manifest.permissions.kubernetes
    ]
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": _meta(names, site), "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": _meta(names, site),
            "roleRef": {"apiGroup": group, "kind": "Role", "name": names.base},
            "subjects": [{"kind": "ServiceAccount", "name": names.base, "namespace": site.namespace}],
        },
    ]


def config_map(names: Names, site: Site, name: str, text: str) -> Object:
    """The config under a name that holds its hash, so that an old Pod keeps the one it began with."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**_meta(names, site), "name": name},
        "immutable": True,
        "data": {CONFIG_FILE: text},
    }


def service(names: Names, site: Site, metrics: Mapping[str, Any] | None) -> Object:
    """Where the tool is found in the cluster."""
    ports = [{"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}]
    if metrics is not None:
        ports.append({"name": "metrics", "port": metrics["port"], "targetPort": "metrics", "protocol": "TCP"})
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(names, site, annotations=site.service_annotations),
        "spec": {"type": site.service_type, "selector": names.selector(), "ports": ports},
    }


def deployment(request: DesiredInput, site: Site, config: Mapping[str, Any], config_map_name: str) -> Object:
    """What keeps the Pods running. ``replicas`` stand here only where nothing else decides on them."""
    names, manifest = Names(request.identity), request.manifest
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": names.base,
            "namespace": site.namespace,
            "labels": pod_labels(request, names),
            "annotations": addressed(request, site, config),
        },
        "spec": {
            **({} if scales(manifest) else {"replicas": fewest(manifest)}),
            "revisionHistoryLimit": _HISTORY,
            "progressDeadlineSeconds": round(site.timing.start) + _SLACK,
            "selector": {"matchLabels": names.selector()},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": template(request, site, config, config_map_name),
        },
    }


def candidate(request: DesiredInput, made: Object) -> Object:
    """One Pod of a Deployment's template, as it is after patches, that no Service selects."""
    names = Names(request.identity)
    pod = made["spec"]["template"]
    labels = {**pod["metadata"]["labels"], **names.selector(names.of("candidate"))}
    spec = {key: value for key, value in pod["spec"].items() if key != "topologySpreadConstraints"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **pod["metadata"],
            "name": names.of("candidate"),
            "namespace": made["metadata"]["namespace"],
            "labels": labels,
        },
        # A candidate that dies has failed: its last words are not to be followed by another try.
        "spec": {**spec, "restartPolicy": "Never"},
    }


def autoscaler(manifest: Manifest, names: Names, site: Site) -> Object:
    """How many copies there are, by the CPU that they use."""
    target = {"type": "Utilization", "averageUtilization": manifest.scale.cpu}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _meta(names, site),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": names.base},
            "minReplicas": fewest(manifest),
            "maxReplicas": most(manifest),
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def disruption_budget(names: Names, site: Site) -> Object:
    """One copy at a time may be moved; a drain is never held up, not even by a single copy."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _meta(names, site),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": names.selector()},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def service_monitor(names: Names, site: Site) -> Object:
    """What tells the Prometheus Operator where the figures are."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": _meta(names, site),
        "spec": {
            "selector": {"matchLabels": names.labels()},
            "namespaceSelector": {"matchNames": [site.namespace]},
            "endpoints": [{"port": "metrics", "path": "/metrics", "interval": "30s"}],
        },
    }


def fewest(manifest: Manifest) -> int:
    """How many copies there are at least."""
    if manifest.scale.min is not None:
        return manifest.scale.min
    return min(COPIES, manifest.scale.max or COPIES)


def most(manifest: Manifest) -> int:
    """How many copies there are at most."""
    return manifest.scale.max or fewest(manifest)


def scales(manifest: Manifest) -> bool:
    """Whether the number of copies follows the load."""
    return most(manifest) > fewest(manifest)


def _meta(names: Names, site: Site, *, annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"name": names.base, "namespace": site.namespace, "labels": names.labels()}
    return {**made, "annotations": dict(annotations)} if annotations else made
