"""What whoever deploys must be allowed in a cluster: from the kinds that the code knows, to a ClusterRole.

The verbs are those of the requests that are made: a server-side apply asks for ``patch``, and for ``create`` where the
object is new (https://kubernetes.io/docs/reference/using-api/server-side-apply/#comparison-with-client-side-apply).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from mcp_targets._kube.kinds import BINDINGS, CANARY, CANDIDATE, EVENTS, LEASES, PODS, SECRETS, SORTS, Sort
from mcp_targets._kube.names import MANAGER

_READS: Final = ("get", "list")
_CHANGES: Final = ("get", "list", "create", "patch", "delete")
_SHARED: Final = ("get", "list", "create", "patch")
"""What tools share is never deleted with one."""


@dataclass(frozen=True, slots=True)
class Right:
    """Verbs on one sort of object, as RBAC spells them. ``need``: whether a deploy of any tool asks for it."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    need: bool = True
    namespaced: bool = True


def rights() -> tuple[Right, ...]:
    """Every right that some command makes use of."""
    return tuple(_rights())


def _rights() -> Iterator[Right]:
    for sort in SORTS:
        if sort.name in {CANARY, CANDIDATE}:
            continue
        verbs = _CHANGES if sort.namespaced else _SHARED
        # A manifest may do without most kinds; what is only looked for needs no right to change it.
        yield Right(sort.group, sort.plural, verbs, f"the tool's {sort.kind}", not sort.custom, sort.namespaced)
    yield _of(SECRETS, ("get", "list", "create", "patch", "delete"), "secrets, keys and releases")
    yield _of(LEASES, ("get", "create", "update", "delete"), "the lock of a deployment")
    yield _of(PODS, (*_CHANGES, "watch"), "the candidate, and why a Pod does not start")
    yield Right("", "pods/log", ("get",), "mcp-pack logs, and the last words of a Pod that died")
    yield Right("", "pods/portforward", ("get", "create"), "a look at the tool from inside the cluster")
    yield _of(EVENTS, _READS, "why a Pod does not start")
    yield Right("apps", "replicasets", _READS, "how far a rollout is")
    bindings = _of(BINDINGS, ("list",), "whether the load balancer knows a canary on Amazon EKS")
    yield replace(bindings, need=False)
    role = "rbac.authorization.k8s.io"
    yield Right(role, "roles", ("escalate", "bind"), "tools with [permissions.kubernetes]", need=False)


def _of(sort: Sort, verbs: tuple[str, ...], why: str) -> Right:
    return Right(sort.group, sort.plural, verbs, why)


def cluster_role(name: str = "mcp-pack-deployer") -> dict[str, Any]:
    """All of it as one ClusterRole: bound in one namespace it serves that one, but for what is in none."""
    rules: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for right in rights():
        rules.setdefault((right.group, right.verbs), []).append(right.resource)
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": MANAGER}},
        "rules": [
            {"apiGroups": [group], "resources": sorted(resources), "verbs": list(verbs)}
            for (group, verbs), resources in sorted(rules.items())
        ],
    }
