"""Whether account and cluster have what a deploy to EKS needs. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from mcp_packager.errors import PackError
from mcp_packager.target import Examination, Finding
from mcp_targets._aws.examining import allowed, nowhere, policy_of, who
from mcp_targets._aws.rights import CLUSTER, REGISTRY, ROLE, SECRETS
from mcp_targets._aws.session import Aws
from mcp_targets._kube.client import Api
from mcp_targets._kube.examine import examined as examined_cluster
from mcp_targets.eks.balancer import CONTROLLER
from mcp_targets.eks.options import Options
from mcp_targets.eks.place import unplaced, wanted, where
from mcp_targets.eks.world import reaching

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

NEEDED: Final = (*REGISTRY, *ROLE, *CLUSTER, *SECRETS)


def examined(manifest: Manifest, options: Options) -> Examination:
    """What was found, and the IAM policy and the ClusterRole that a deployer needs."""
    missing = tuple(unplaced(manifest, options))
    if missing:
        return nowhere(missing, NEEDED)
    place = where(manifest, options)
    grant = Examination((), (policy_of(NEEDED, place.partition, place.region, place.account),))
    aws = Aws(wanted(manifest, options))
    caller = who(aws)
    if caller.state == "broken":
        return Examination((caller,)).and_then(grant)
    api = Api(reaching(aws, place.cluster, f"{place.cluster} of EKS in {place.region}"))
    cluster = examined_cluster(api, options.namespace)
    beside = _beside(api) if cluster.findings[0].state == "ok" else iter(())
    return (
        Examination((caller, *allowed(aws, NEEDED)))
        .and_then(grant)
        .and_then(cluster)
        .and_then(Examination(tuple(beside)))
    )


def _beside(api: Api) -> Iterator[Finding]:
    """What EKS has from others: the controller of load balancers, and what gives Pods their roles."""
    yield _controller(api)
    yield _installed(
        api,
        "/apis/apps/v1/namespaces/kube-system/daemonsets/eks-pod-identity-agent",
        "Pod Identity agent",
        'tools with [[permissions.aws]], unless identity = "irsa"',
        "add the add-on eks-pod-identity-agent to the cluster",
    )


def _controller(api: Api) -> Finding:
    name, need = "load balancer controller", "tools with a host"
    fix = "install the AWS Load Balancer Controller, with its class"
    try:
        found = api.get("/apis/networking.k8s.io/v1/ingressclasses").get("items", ())
    except PackError as error:
        return Finding(name, "missing", f"could not be looked at: {error.problems[0].what}", need, fix)
    classes = [str(one["metadata"]["name"]) for one in found if one["spec"].get("controller") == CONTROLLER]
    if not classes:
        return Finding(name, "missing", f"no IngressClass has the controller {CONTROLLER}", need, fix)
    version = _image_version(api)
    return Finding(name, "ok", f"class {', '.join(sorted(classes))}{version}", need)


def _image_version(api: Api) -> str:
    try:
        found = api.find("/apis/apps/v1/namespaces/kube-system/deployments/aws-load-balancer-controller")
    except PackError:
        return ""
    if found is None:
        return ""
    (image, *_) = [str(one["image"]) for one in found["spec"]["template"]["spec"]["containers"]]
    return f"; the controller runs {image.rpartition(':')[2]}"


def _installed(api: Api, path: str, name: str, need: str, fix: str) -> Finding:
    try:
        found = api.find(path)
    except PackError as error:
        return Finding(name, "missing", f"could not be looked at: {error.problems[0].what}", need, fix)
    if found is None:
        return Finding(name, "missing", "not in the cluster", need, fix)
    return Finding(name, "ok", "runs in kube-system", need)
