"""Whether an object is what the API takes, as far as the client's own models of it tell: names and types of fields.

Ranges and rules between fields are the API server's to judge; a deploy asks it before it writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.target import Ref
from mcp_targets._kube.package import loaded
from mcp_targets._kube.site import Object

_GENERIC: Final = re.compile(r"^(list|dict)[\[(](?:str, ?)?(.+)[\])]$", re.IGNORECASE)
_PLAIN: Final[Mapping[str, tuple[type, ...]]] = {
    "str": (str,),
    "datetime": (str,),
    "bytes": (str,),
    "file": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
}
_WORDS: Final[Mapping[str, str]] = {
    "str": "a text",
    "datetime": "a time",
    "bytes": "a text",
    "file": "a text",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
}
_MODELS: Final[Mapping[tuple[str, str], str]] = {
    ("v1", "Namespace"): "V1Namespace",
    ("v1", "ServiceAccount"): "V1ServiceAccount",
    ("v1", "ConfigMap"): "V1ConfigMap",
    ("v1", "Service"): "V1Service",
    ("v1", "Pod"): "V1Pod",
    ("v1", "PersistentVolumeClaim"): "V1PersistentVolumeClaim",
    ("apps/v1", "Deployment"): "V1Deployment",
    ("apps/v1", "StatefulSet"): "V1StatefulSet",
    ("rbac.authorization.k8s.io/v1", "Role"): "V1Role",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "V1RoleBinding",
    ("networking.k8s.io/v1", "NetworkPolicy"): "V1NetworkPolicy",
    ("networking.k8s.io/v1", "Ingress"): "V1Ingress",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "V2HorizontalPodAutoscaler",
    ("policy/v1", "PodDisruptionBudget"): "V1PodDisruptionBudget",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """``path`` as kubectl writes it, ``what`` about it; ``explained`` is what ``kubectl explain`` takes."""

    path: str
    what: str
    explained: str


def faults(item: Object) -> list[Fault]:
    """Everything in an object that its type has no place for; nothing for a kind that is not built in."""
    model = _MODELS.get((str(item["apiVersion"]), str(item["kind"])))
    return [] if model is None else list(_object(item, model, "", str(item["kind"]).lower()))


def _object(value: Any, model: str, path: str, explained: str) -> Iterator[Fault]:
    if not isinstance(value, Mapping):
        yield Fault(path or "it", "is not an object", explained)
        return
    made = getattr(loaded().client.models, model)  # the client loads each of its models when it is first asked for
    names = {spelled: name for name, spelled in made.attribute_map.items()}
    for key, item in value.items():
        here = f"{path}.{key}" if path else key
        if key not in names:
            yield Fault(here, "is not known", explained)
        else:
            yield from _typed(item, made.openapi_types[names[key]], here, f"{explained}.{key}")


def _typed(value: Any, sort: str, path: str, explained: str) -> Iterator[Fault]:
    generic = _GENERIC.match(sort)
    if value is None:
        yield Fault(path, "is null", explained)
    elif generic is not None:
        yield from _many(value, generic[1].lower(), generic[2], path, explained)
    elif sort == "object" or value == {} or isinstance(value, Ref):
        return
    elif sort in _PLAIN:
        if not isinstance(value, _PLAIN[sort]) or isinstance(value, bool) != (sort == "bool"):
            yield Fault(path, f"is not {_WORDS[sort]}", explained)
    else:
        yield from _object(value, sort, path, explained)


def _many(value: Any, shape: str, inner: str, path: str, explained: str) -> Iterator[Fault]:
    if shape == "list":
        if not isinstance(value, list | tuple):
            yield Fault(path, "is not a list", explained)
            return
        for index, item in enumerate(value):
            yield from _typed(item, inner, f"{path}[{index}]", explained)
        return
    if not isinstance(value, Mapping):
        yield Fault(path, "is not an object", explained)
        return
    for key, item in value.items():
        yield from _typed(item, inner, f"{path}.{key}", explained)
