"""The kinds of objects that a deployment may own, where the API has them, and what a change of one does to clients.

Paths follow https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Kind
from mcp_targets._kube.projection import projected

IMAGE: Final = "image"
SECRET: Final = "secret"  # noqa: S105 - a kind's name
KEY: Final = "key"
CANDIDATE: Final = "candidate"
CANARY: Final = "canary"
CLAIM: Final = "persistentvolumeclaim"
ALLOWING: Final[Mapping[str, str]] = {"role": "role", "rolebinding": "binding", "networkpolicy": "network"}
"""Kinds that say what the Pods may do, and what they are called in names. All objects of one kind hold at once, so old
and new stand side by side."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One kind of object. ``name`` is the resource kind; ``custom``: only where its definition is installed."""

    name: str
    api_version: str
    kind: str
    plural: str
    namespaced: bool = True
    custom: bool = False
    effect: str = ""

    @property
    def group(self) -> str:
        """The API's group; empty for the core."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None = None, name: str | None = None, *rest: str) -> str:
        """Where its objects are; those of all namespaces where none is given."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        within = ["namespaces", namespace] if self.namespaced and namespace is not None else []
        named = [] if name is None else [name, *rest]
        return "/".join([root, *(quote(part, safe="") for part in (*within, self.plural, *named))])


_SWITCHED: Final = "replaces the Pods one by one; no call fails"
_TRIED: Final = "some calls go to the new version, step by step; back if it fails"
_RESTARTED: Final = "restarts the service; the tool waits for it"

SORTS: Final = (
    Sort("namespace", "v1", "Namespace", "namespaces", namespaced=False),
    Sort(
        "ingressclassparams",
        "elbv2.k8s.aws/v1beta1",
        "IngressClassParams",
        "ingressclassparams",
        namespaced=False,
        custom=True,
    ),
    Sort("ingressclass", "networking.k8s.io/v1", "IngressClass", "ingressclasses", namespaced=False),
    Sort("serviceaccount", "v1", "ServiceAccount", "serviceaccounts"),
    Sort("role", "rbac.authorization.k8s.io/v1", "Role", "roles"),
    Sort("rolebinding", "rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    Sort("configmap", "v1", "ConfigMap", "configmaps"),
    Sort("externalsecret", "external-secrets.io/v1", "ExternalSecret", "externalsecrets", custom=True),
    Sort("certificate", "cert-manager.io/v1", "Certificate", "certificates", custom=True),
    Sort("networkpolicy", "networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Sort(CLAIM, "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    Sort("service", "v1", "Service", "services"),
    Sort("statefulset", "apps/v1", "StatefulSet", "statefulsets", effect=_RESTARTED),
    Sort(CANDIDATE, "v1", "Pod", "pods"),
    # Before the Pods: a load balancer's readiness gate is put into those alone that are made when it knows them.
    Sort(
        "targetgroupconfiguration",
        "gateway.k8s.aws/v1",
        "TargetGroupConfiguration",
        "targetgroupconfigurations",
        custom=True,
    ),
    Sort("ingress", "networking.k8s.io/v1", "Ingress", "ingresses"),
    Sort("httproute", "gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes", custom=True),
    Sort("deployment", "apps/v1", "Deployment", "deployments", effect=_SWITCHED),
    Sort(CANARY, "apps/v1", "Deployment", "deployments", effect=_TRIED),
    Sort("horizontalpodautoscaler", "autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Sort("poddisruptionbudget", "policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Sort("servicemonitor", "monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors", custom=True),
)
"""In the order in which they are made."""

BY_NAME: Final[Mapping[str, Sort]] = {sort.name: sort for sort in SORTS}

SECRETS: Final = Sort("secretobject", "v1", "Secret", "secrets")
"""What holds secrets, keys and releases; no resource is one of itself."""
LEASES: Final = Sort("lease", "coordination.k8s.io/v1", "Lease", "leases")
PODS: Final = Sort("pod", "v1", "Pod", "pods")
EVENTS: Final = Sort("event", "v1", "Event", "events")
BINDINGS: Final = Sort(
    "targetgroupbinding", "elbv2.k8s.aws/v1beta1", "TargetGroupBinding", "targetgroupbindings", custom=True
)
"""What the AWS Load Balancer Controller makes of each target group."""


def _kinds() -> tuple[Kind, ...]:
    kept = (Kind(IMAGE), Kind(KEY), Kind(SECRET, secret=True))
    objects = [Kind(sort.name, project=projected, effect=sort.effect, derived=sort.name in ALLOWING) for sort in SORTS]
    # What is not in a namespace comes before what is, and images, keys and secrets before what names them.
    first = next(index for index, sort in enumerate(SORTS) if sort.name == "serviceaccount")
    return (*objects[:first], *kept, *objects[first:])


KINDS: Final = _kinds()


def sort_of(kind: str) -> Sort:
    """What is known of a resource kind.

    Raises:
        WorldError: nothing is.
    """
    found = BY_NAME.get(kind)
    if found is None:
        raise WorldError(
            Problem(f"this version of mcp-pack knows no {kind!r} in a cluster", "use the version that deployed it")
        )
    return found


def sort_for(api_version: str, kind: str) -> Sort | None:
    """What is known of an object's kind, by its own words."""
    known = (*SORTS, SECRETS, LEASES, PODS, EVENTS)
    return next((sort for sort in known if (sort.api_version, sort.kind) == (api_version, kind)), None)


def at(sort: Sort, thing: Mapping[str, Any]) -> Sort:
    """The sort as the object spells it: its version may be another than the one that is listed."""
    version = str(thing.get("apiVersion", sort.api_version))
    if version == sort.api_version:
        return sort
    return Sort(sort.name, version, sort.kind, sort.plural, sort.namespaced, sort.custom, sort.effect)
