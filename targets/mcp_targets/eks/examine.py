"""Whether account and cluster have what a deploy to EKS needs. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.errors import PackError
from mcp_packager.target import Examination, Finding, Grant
from mcp_targets._aws.errors import speaking
from mcp_targets._aws.rights import CLUSTER, REGISTRY, ROLE, SECRETS, actions, deployer_policy
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
_PLACEHOLDERS: Final = ("aws", "REGION", "ACCOUNT")
_ROLES: Final = ":assumed-role/"


def examined(manifest: Manifest, options: Options) -> Examination:
    """What was found, and the IAM policy and the ClusterRole that a deployer needs."""
    missing = tuple(unplaced(manifest, options))
    if missing:
        partition, region, account = _PLACEHOLDERS
        findings = tuple(Finding("place", "broken", one.what, "every deploy", one.fix) for one in missing)
        return Examination(findings, (_policy(partition, region, account),))
    place = where(manifest, options)
    grant = Examination((), (_policy(place.partition, place.region, place.account),))
    aws = Aws(wanted(manifest, options))
    who = _caller(aws)
    if who.state == "broken":
        return Examination((who,)).and_then(grant)
    api = Api(reaching(aws, place.cluster, f"{place.cluster} of EKS in {place.region}"))
    cluster = examined_cluster(api, options.namespace)
    beside = _beside(api) if cluster.findings[0].state == "ok" else iter(())
    return Examination((who, *allowed(aws))).and_then(grant).and_then(cluster).and_then(Examination(tuple(beside)))


def _policy(partition: str, region: str, account: str) -> Grant:
    document = deployer_policy(NEEDED, partition=partition, region=region, account=account)
    return Grant("IAM policy of a deployer", document)


def _caller(aws: Aws) -> Finding:
    need = "every deploy"
    try:
        caller = aws.caller
    except PackError as error:
        problem = error.problems[0]
        return Finding("AWS credentials", "broken", problem.what, need, problem.fix)
    return Finding("AWS credentials", "ok", f"{caller.arn} of account {caller.account}", need)


def allowed(aws: Aws) -> Iterator[Finding]:
    """What AWS says that we may do; it says so to those alone who may ask."""
    name, need = "rights in AWS", "every deploy"
    try:
        with speaking("ask what we may do"):
            found = (
                aws.client("iam")
                .get_paginator("simulate_principal_policy")
                .paginate(PolicySourceArn=principal(aws.caller.arn), ActionNames=list(actions(NEEDED)))
            )
            results: list[Any] = [one for page in found for one in page["EvaluationResults"]]
    except PackError as error:
        detail = f"could not be looked at: {error.problems[0].what}"
        yield Finding(
            name, "missing", detail, need, "compare the policy below with yours, or allow iam:SimulatePrincipalPolicy"
        )
        return
    always = set(actions(NEEDED, always=True))
    denied = [str(one["EvalActionName"]) for one in results if one["EvalDecision"] != "allowed"]
    yield Finding(name, "ok", f"{len(results) - len(denied)} of {len(results)} are there", need)
    for action in denied:
        why = next(one.why for one in NEEDED if action.partition(":")[2] in one.actions)
        state = "broken" if action in always else "missing"
        yield Finding(f"right to {action}", state, "not allowed", why, "have the IAM policy below attached to you")


def principal(arn: str) -> str:
    """Whose policies count for a session: its role's (a role with a path is not to be found by its session)."""
    if _ROLES not in arn:
        return arn
    head, _, rest = arn.partition(_ROLES)
    return f"{head.replace(':sts:', ':iam:')}:role/{rest.partition('/')[0]}"


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
