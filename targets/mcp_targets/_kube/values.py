"""The values of the chart and their schema: what a user of Helm may want otherwise, as the plain objects have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp_packager.target import DesiredInput
from mcp_targets._kube.names import SERVER, Names
from mcp_targets._kube.site import Ingress, Object, Site
from mcp_targets._kube.workload import autoscaler, fewest, scales

_HOST: Final = r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$"
_NAME: Final = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
_REPOSITORY: Final = r"^[A-Za-z0-9]([A-Za-z0-9._:/-]*[A-Za-z0-9])?$"
_DIGEST: Final = r"^sha256:[0-9a-f]{64}$"
_TAG: Final = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"
_TEXTS: Final[Mapping[str, Any]] = {"type": "object", "additionalProperties": {"type": "string"}}
_ANYTHING: Final[Mapping[str, Any]] = {"type": "object"}
_NAMED: Final[Mapping[str, Any]] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"name": {"type": "string", "pattern": _NAME}},
        "required": ["name"],
        "additionalProperties": False,
    },
}
_COPIES: Final[Mapping[str, Any]] = {"type": "integer", "minimum": 1, "maximum": 1000}
_SHAPES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "image.repository": ("Where the image is", {"type": "string", "pattern": _REPOSITORY}),
    "image.digest": ("Which image", {"type": "string", "pattern": _DIGEST}),
    "image.tag": ("Which image, in the nodes' own store", {"type": "string", "pattern": _TAG}),
    "imagePullSecrets": ("What nodes show the registry", _NAMED),
    "replicas": ("Copies, where their number does not follow the load", _COPIES),
    "autoscaling.enabled": ("Whether the number of copies follows the load", {"type": "boolean"}),
    "autoscaling.minReplicas": ("Fewest copies", _COPIES),
    "autoscaling.maxReplicas": ("Most copies", _COPIES),
    "autoscaling.metrics": ("By what", {"type": "array", "items": _ANYTHING}),
    "resources": ("Requests and limits of the server", _ANYTHING),
    "nodeSelector": ("Labels of the nodes to run on", _TEXTS),
    "affinity": ("Nodes to run on", _ANYTHING),
    "tolerations": ("Taints to run on nodes in spite of", {"type": "array", "items": _ANYTHING}),
    "serviceAccount.annotations": ("Annotations of who the Pods are", _TEXTS),
    "ingress.host": ("Host name that clients use", {"type": "string", "pattern": _HOST}),
    "ingress.className": ("IngressClass that serves the host", {"type": "string", "pattern": _NAME}),
    "ingress.annotations": ("Annotations for its controller", _TEXTS),
    "ingress.metadataAnnotations": ("Those of the Ingress of RFC 9728's document", _TEXTS),
    "ingress.tlsSecret": ("Secret with the host's certificate", {"type": "string", "pattern": _NAME}),
}


def defaults(request: DesiredInput, site: Site, plain: tuple[Object, ...]) -> dict[str, Any]:
    """``values.yaml``, with what stands in the plain objects."""
    manifest, names = request.manifest, Names(request.identity)
    (running,) = (item for item in plain if item["kind"] == "Deployment")
    (account,) = (item for item in plain if item["kind"] == "ServiceAccount")
    pod = running["spec"]["template"]["spec"]
    scaler = next((item for item in plain if item["kind"] == "HorizontalPodAutoscaler"), None)
    scaling = (scaler or autoscaler(manifest, names, site))["spec"]
    which = {"tag": site.image.tag} if site.image.load else {"digest": site.image.digest}
    values: dict[str, Any] = {
        "image": {"repository": site.image.repository, **which},
        "imagePullSecrets": pod.get("imagePullSecrets", []),
        "replicas": running["spec"].get("replicas", fewest(manifest)),
        "autoscaling": {
            "enabled": scales(manifest),
            "minReplicas": scaling["minReplicas"],
            "maxReplicas": scaling["maxReplicas"],
            "metrics": scaling["metrics"],
        },
        "resources": next(one.get("resources", {}) for one in pod["containers"] if one["name"] == SERVER),
        "nodeSelector": pod.get("nodeSelector", {}),
        "affinity": pod.get("affinity", {}),
        "tolerations": pod.get("tolerations", []),
        "serviceAccount": {"annotations": account["metadata"].get("annotations", {})},
    }
    return {**values, **_ingress(site, plain)}


def schema(values: Mapping[str, Any]) -> dict[str, Any]:
    """``values.schema.json``, draft 7: closed, and so strict that what goes into a text unquoted can do no harm."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_object(values, ""),
    }


def _object(values: Mapping[str, Any], head: str) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{head}{key}"
        if path in _SHAPES:
            said, shape = _SHAPES[path]
            properties[key] = {"description": said, **shape}
        else:
            properties[key] = _object(value, f"{path}.")
    if not head:
        properties["global"] = {"description": "Values of a chart around this one", "type": "object"}
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(values),
        "additionalProperties": False,
    }


def _ingress(site: Site, plain: tuple[Object, ...]) -> dict[str, Any]:
    if site.public is None or not isinstance(site.public.route, Ingress):
        return {}
    route = site.public.route
    made = [item["metadata"].get("annotations", {}) for item in plain if item["kind"] == "Ingress"]
    described = {"metadataAnnotations": made[0]} if route.metadata_annotations is not None else {}
    return {
        "ingress": {
            "host": site.public.host,
            "className": route.class_name,
            "annotations": made[-1],
            **described,
            **({"tlsSecret": route.tls_secret} if route.tls_secret else {}),
        }
    }
