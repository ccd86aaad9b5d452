"""Whether a cluster has what a deploy needs, and whether we may do it there. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from mcp_packager.errors import PackError
from mcp_packager.target import Examination, Finding, Grant
from mcp_targets._kube.client import Api
from mcp_targets._kube.rights import Right, cluster_role, rights

_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_AT_ONCE: Final = 12
_OLDEST: Final = (1, 30)
"""The first version in which a Pod can be told to wait before its end without being asked first."""
_OPTIONAL: Final = {
    "metrics.k8s.io": ("metrics-server", "[scale] with a max above min", "install metrics-server"),
    "external-secrets.io": ("External Secrets Operator", "secret_store", "install the operator, if you use it"),
    "monitoring.coreos.com": ("Prometheus Operator", "service_monitor", "install the operator, if you use it"),
    "gateway.networking.k8s.io": ("Gateway API", "gateway", "install its CRDs and a controller, if you use it"),
}


def examined(api: Api, namespace: str) -> Examination:
    """What was found in a cluster, and the ClusterRole that a deployer needs."""
    grants = (Grant("ClusterRole of a deployer", cluster_role()),)
    version = _version(api)
    if version.state == "broken":
        return Examination((version,), grants)
    return Examination((version, *_groups(api), *_rights(api, namespace)), grants)


def _version(api: Api) -> Finding:
    need = "deploying there"
    try:
        said = api.get("/version")
    except PackError as error:
        problem = error.problems[0]
        return Finding("cluster", "broken", f"{api.name}: {problem.what}", need, problem.fix)
    number = (int(str(said["major"])), int("".join(filter(str.isdigit, str(said["minor"])))))
    detail = f"{api.name} answers: Kubernetes {said['gitVersion']}"
    if number < _OLDEST:
        return Finding("cluster", "broken", detail, need, "update it to 1.30 or later")
    return Finding("cluster", "ok", detail, need)


def _groups(api: Api) -> Iterator[Finding]:
    there = {str(group["name"]) for group in api.get("/apis").get("groups", ())}
    for group, (name, need, fix) in _OPTIONAL.items():
        if group in there:
            yield Finding(name, "ok", f"the cluster knows {group}", need)
        else:
            yield Finding(name, "missing", f"the cluster does not know {group}", need, fix)


def _rights(api: Api, namespace: str) -> Iterator[Finding]:
    """One line for all that we may do, and one for each thing that we may not."""
    wanted = [(right, verb) for right in rights() for verb in right.verbs]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(lambda pair: _may(api, namespace, *pair), wanted))
    denied: dict[Right, list[str]] = {}
    for (right, verb), allowed in zip(wanted, answers, strict=True):
        if not allowed:
            denied.setdefault(right, []).append(verb)
    allowed_count = sum(answers)
    yield Finding("rights", "ok", f"{allowed_count} of {len(wanted)} are there in {namespace}", "deploying there")
    for right, verbs in denied.items():
        kind = f"{right.resource}.{right.group}" if right.group else right.resource
        yield Finding(
            f"right to {kind}",
            "broken" if right.need and right.namespaced else "missing",
            f"not allowed in {namespace}: {', '.join(verbs)}",
            right.why,
            "have the ClusterRole below bound to you",
        )


def _may(api: Api, namespace: str, right: Right, verb: str) -> bool:
    resource, _, sub = right.resource.partition("/")
    asked: dict[str, Any] = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {
            "resourceAttributes": {
                "group": right.group,
                "resource": resource,
                "verb": verb,
                **({"subresource": sub} if sub else {}),
                **({"namespace": namespace} if right.namespaced else {}),
            }
        },
    }
    answer = api.patiently(lambda: api.send("POST", _REVIEWS, body=asked))
    return bool(answer["status"].get("allowed"))
