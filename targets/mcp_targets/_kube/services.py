"""What the tool depends on, run beside it: a StatefulSet, its Service and its data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mcp_packager.manifest import Manifest
from mcp_targets._kube.mounts import held_in
from mcp_targets._kube.names import Names
from mcp_targets._kube.pods import capacity, confined, pod_confined
from mcp_targets._kube.quantities import bytes_of
from mcp_targets._kube.site import Object, Site

if TYPE_CHECKING:
    from mcp_packager.manifest.service import Service


def run_here(manifest: Manifest) -> list[str]:
    """Names of the services that have an image, and so run beside the tool."""
    return [name for name, service in sorted(manifest.services.items()) if service.image is not None]


def claim(manifest: Manifest, names: Names, site: Site, name: str) -> Object | None:
    """The data's claim: an object of its own, so that it can grow, and stays when the rest goes."""
    volume = manifest.services[name].volume
    if volume is None:
        return None
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _meta(names, site, name),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": bytes_of(volume.size)}},
            **({"storageClassName": site.storage_class} if site.storage_class else {}),
        },
    }


def address(manifest: Manifest, names: Names, site: Site, name: str) -> Object:
    """The Service by whose name the tool finds it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(names, site, name),
        "spec": {
            "type": "ClusterIP",
            "selector": names.selector(names.service(name)),
            "ports": [
                {"name": f"port-{port}", "port": port, "targetPort": port, "protocol": "TCP"}
                for port in manifest.services[name].ports
            ],
        },
    }


def stateful_set(manifest: Manifest, names: Names, site: Site, name: str) -> Object:
    """One Pod of the service, confined as the tool is but for its root, which images of others write to."""
    service = manifest.services[name]
    mine = names.service(name)
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    if service.volume is not None:
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": mine}})
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": _meta(names, site, name),
        "spec": {
            "replicas": 1,
            "serviceName": mine,
            "revisionHistoryLimit": 5,
            "selector": {"matchLabels": names.selector(mine)},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": {
                "metadata": {"labels": {**names.labels(names.component(name)), **names.selector(mine)}},
                "spec": {
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    **(
                        {"imagePullSecrets": [{"name": pull} for pull in site.pull_secrets]}
                        if site.pull_secrets
                        else {}
                    ),
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "securityContext": pod_confined(),
                    "terminationGracePeriodSeconds": 30,
                    "containers": [_container(manifest, names, site, name)],
                    "volumes": volumes,
                },
            },
        },
    }


def _container(manifest: Manifest, names: Names, site: Site, name: str) -> dict[str, Any]:
    service = manifest.services[name]
    env: list[dict[str, Any]] = [{"name": key, "value": value} for key, value in sorted(service.env.items())]
    for variable, secret in sorted(service.secrets.items()):
        holder, entry = held_in(manifest, names, site, secret)
        env.append({"name": variable, "valueFrom": {"secretKeyRef": {"name": holder, "key": entry}}})
    return {
        "name": name,
        "image": service.image,
        "imagePullPolicy": "IfNotPresent",
        # The image's own program stands before it, as it does in a compose file.
        **({"args": list(service.command)} if service.command else {}),
        "ports": [{"name": f"port-{port}", "containerPort": port, "protocol": "TCP"} for port in service.ports],
        **({"env": env} if env else {}),
        **_probes(service),
        "resources": capacity(service.resources),
        "securityContext": confined(read_only=False),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's
            *([{"name": "data", "mountPath": service.volume.path}] if service.volume else []),
        ],
    }


def _probes(service: Service) -> dict[str, Any]:
    health = service.health
    how: dict[str, Any] = (
        {"exec": {"command": list(health.command)}} if health.command else {"tcpSocket": {"port": service.ports[0]}}
    )
    every, within = max(1, math.ceil(health.interval)), max(1, math.ceil(health.timeout))

    def looking(times: int, period: int = every) -> dict[str, Any]:
        return {
            **how,
            "periodSeconds": period,
            "timeoutSeconds": within,
            "failureThreshold": times,
            "successThreshold": 1,
        }

    starts = math.ceil(health.start) + health.retries * (every + within)
    return {
        "startupProbe": looking(max(1, starts), period=1),
        "readinessProbe": looking(health.retries),
        # One that is slow is not taken for dead: a restart would cost more than it mends.
        "livenessProbe": looking(health.retries * 4),
    }


def _meta(names: Names, site: Site, service: str) -> dict[str, Any]:
    return {
        "name": names.service(service),
        "namespace": site.namespace,
        "labels": names.labels(names.component(service)),
    }
