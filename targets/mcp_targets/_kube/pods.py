"""The Pod of the tool: what the Deployment makes, and what its candidate is.

Everything that Pod Security's profile ``restricted`` asks
(https://kubernetes.io/docs/concepts/security/pod-security-standards/), and a read-only root.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.target import DesiredInput, auth_mode
from mcp_targets._kube.mounts import key_mounts, secret_mounts, volume
from mcp_targets._kube.names import AUTH, SERVER, URL, Names, label_value
from mcp_targets._kube.quantities import bytes_of, cores_of
from mcp_targets._kube.settings import (
    CONFIG_FILE,
    CONFIG_FOLDER,
    KEYS_FOLDER,
    PORT,
    SECRETS_FOLDER,
    grace,
    keys_in,
    pause_before_end,
    url,
)
from mcp_targets._kube.site import Pull, Site

if TYPE_CHECKING:
    from mcp_packager.manifest.capacity import Resources

USER: Final = 65532
"""The user of the tool's image, by number, so that the node sees that it is not root."""

_CPU: Final = 0.25
_MEMORY: Final = 512 * 1024 * 1024
_SCRATCH: Final = 64 * 1024 * 1024
_WHOLE_CORE: Final = 1.0


def template(request: DesiredInput, site: Site, config: Mapping[str, Any], config_map: str) -> dict[str, Any]:
    """The Pod template of the Deployment."""
    names = Names(request.identity)
    return {
        "metadata": {
            "labels": pod_labels(request, names),
            "annotations": {**addressed(request, site, config), **site.pod_annotations},
        },
        "spec": _spec(request, site, config, config_map),
    }


def pod_labels(request: DesiredInput, names: Names) -> dict[str, str]:
    """Labels of the Pods that serve, by which the Service finds them."""
    return {
        **names.labels(),
        **names.selector(),
        "app.kubernetes.io/version": label_value(request.manifest.tool.version),
    }


def addressed(request: DesiredInput, site: Site, config: Mapping[str, Any]) -> dict[str, str]:
    """How clients reach it, for whoever looks at what is deployed."""
    return {URL: url(request, site), AUTH: auth_mode(config)}


def capacity(resources: Resources) -> dict[str, Any]:
    """Requests and limits of a container.

    Memory is asked for as much as may be used, so that a full node ends nobody else. A core may be used whole where it
    is idle: a start takes about one second of it.
    """
    cpu, memory = resources.cpu or _CPU, bytes_of(resources.memory or _MEMORY)
    return {
        "requests": {"cpu": cores_of(cpu), "memory": memory},
        "limits": {"cpu": cores_of(max(cpu, _WHOLE_CORE)), "memory": memory},
    }


def confined(*, read_only: bool = True) -> dict[str, Any]:
    """The security context of a container."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": read_only,
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
    }


def pulling(site: Site) -> dict[str, Any]:
    """What a node shows a registry that asks."""
    return {"imagePullSecrets": [{"name": name} for name in site.pull_secrets]} if site.pull_secrets else {}


def pod_confined() -> dict[str, Any]:
    """The security context of a Pod. ``fsGroup`` lets the user read what is mounted for the owner alone."""
    return {
        "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "runAsGroup": USER,
        "runAsNonRoot": True,
        "runAsUser": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _spec(request: DesiredInput, site: Site, config: Mapping[str, Any], config_map: str) -> dict[str, Any]:
    manifest, names = request.manifest, Names(request.identity)
    scratch = bytes_of(manifest.resources.disk or _SCRATCH)
    volumes: list[Mapping[str, Any]] = [
        {"name": "config", "configMap": {"name": config_map}},
        volume("keys", key_mounts(keys_in(config))),
    ]
    if manifest.secrets:
        volumes.append(volume("secrets", secret_mounts(manifest, names, site)))
    volumes.append({"name": "tmp", "emptyDir": {"sizeLimit": scratch}})
    return {
        "serviceAccountName": names.base,
        "automountServiceAccountToken": bool(manifest.permissions.kubernetes),
        "enableServiceLinks": False,
        **pulling(site),
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "affinity": _processors(site),
        "securityContext": pod_confined(),
        "terminationGracePeriodSeconds": grace(manifest, site),
        "topologySpreadConstraints": _spread(names),
        "containers": [_container(request, site, config, with_secrets=bool(manifest.secrets))],
        "volumes": volumes,
    }


def _container(request: DesiredInput, site: Site, config: Mapping[str, Any], *, with_secrets: bool) -> dict[str, Any]:
    metrics = config["metrics"]
    mounts = [
        ("config", CONFIG_FOLDER),
        ("keys", KEYS_FOLDER),
        *([("secrets", SECRETS_FOLDER)] if with_secrets else []),
    ]
    serve = ["--transport", "http", "--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104 - the Pod's own address
    return {
        "name": SERVER,
        "image": site.image.reference,
        "imagePullPolicy": (Pull.NEVER if site.image.load else Pull.IF_NOT_PRESENT).value,
        "args": [*serve, "--config", f"{CONFIG_FOLDER}/{CONFIG_FILE}"],
        "ports": [
            {"name": "http", "containerPort": PORT, "protocol": "TCP"},
            *([{"name": "metrics", "containerPort": metrics["port"], "protocol": "TCP"}] if metrics else []),
        ],
        **_probes(site.timing.start),
        "lifecycle": {"preStop": {"sleep": {"seconds": pause_before_end(site)}}},
        "resources": capacity(request.manifest.resources),
        "securityContext": confined(),
        "volumeMounts": [
            *({"name": name, "mountPath": path, "readOnly": True} for name, path in mounts),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's
        ],
    }


def _probes(start: float) -> dict[str, Any]:
    """Up, ready, alive. Only the second looks at what the tool depends on: a restart mends nobody else."""

    def asking(path: str, every: int, within: int, times: int) -> dict[str, Any]:
        return {
            "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
            "periodSeconds": every,
            "timeoutSeconds": within,
            "failureThreshold": times,
            "successThreshold": 1,
        }

    return {
        "startupProbe": asking("/healthz", 1, 3, max(1, round(start))),
        "readinessProbe": asking("/readyz", 5, 3, 2),
        "livenessProbe": asking("/healthz", 10, 5, 6),
    }


def _processors(site: Site) -> dict[str, Any]:
    """Nodes of a processor that the image is made for."""
    wanted = {"key": "kubernetes.io/arch", "operator": "In", "values": sorted(site.architectures)}
    required = {"nodeSelectorTerms": [{"matchExpressions": [wanted]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def _spread(names: Names) -> list[dict[str, Any]]:
    """Apart by zone and by node where there are several; counted within one version of the Pods."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": names.selector()},
            "matchLabelKeys": ["pod-template-hash"],
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
