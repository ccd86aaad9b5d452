"""Who the Pods are by the cluster's own tokens, and the ports of the nodes: from a manifest to what moto holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.engine import diff
from mcp_packager.manifest import Manifest
from mcp_packager.target import Key, Ref, Resource, identity_of
from mcp_packager.target.values import resolve
from mcp_targets._aws import eks as clusters
from mcp_targets._aws import iam
from mcp_targets._aws.session import Aws
from mcp_targets._kube.client import Access, Api
from mcp_targets.eks.account import KINDS, Account
from tests.targets.aws.conftest import ACCOUNT
from tests.targets.aws.deployments import desired, only, written
from tests.targets.aws.making import making

NOWHERE = Api(Access("nowhere", lambda: pytest.fail("the cluster was asked")))
RIGHTS = '[[permissions.aws]]\nactions = ["s3:GetObject"]\nresources = ["arn:aws:s3:::notes/*"]'
WAYS = 'identity = "irsa"\ntarget_type = "instance"'


@pytest.fixture
def manifest(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    # moto knows no Pod Identity; there is none here.
    monkeypatch.setattr(clusters.Associations, "observe", lambda *_: iter(()))
    aws.client("eks").create_cluster(
        name="main",
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
        resourcesVpcConfig={"subnetIds": ["subnet-1"], "securityGroupIds": []},
    )
    return written(tmp_path, WAYS, RIGHTS, host="notes.example.com")


def account(aws: Aws, manifest: Manifest) -> Account:
    return Account(aws, NOWHERE, identity_of(manifest), manifest.targets["eks"], manifest)


def cloud(manifest: Manifest) -> list[Resource]:
    """What lives beside the cluster, in the order in which it is made."""
    order = [kind.name for kind in KINDS]
    found = [one for one in desired(manifest).values() if one.kind in order]
    return sorted(found, key=lambda one: order.index(one.kind))


def deployed(ours: Account, wanted: list[Resource]) -> dict[Key, Mapping[str, Any]]:
    """Make all of it, as the engine does: each Ref is followed to what was made before."""
    made: dict[Key, Mapping[str, Any]] = {key: there.fields for key, there in ours.observe().items()}
    for one in wanted:

        def follow(leaf: Any) -> Any:
            assert isinstance(leaf, Ref)
            return made[leaf.resource][leaf.field]

        made[one.key] = ours.apply(making(replace(one, fields=resolve(one.fields, follow))))
    return made


def test_the_role_believes_the_tokens_of_its_service_account_alone(aws: Aws, manifest: Manifest) -> None:
    ours, wanted = account(aws, manifest), cloud(manifest)
    deployed(ours, wanted)
    held = aws.client("iam").get_role(RoleName=iam.role_name(identity_of(manifest)))["Role"]
    service_account = only(desired(manifest), "serviceaccount")
    assert service_account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": held["Arn"]}
    (statement,) = held["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == ["sts:AssumeRoleWithWebIdentity"]
    issuer = clusters.describe(aws, "main").issuer
    assert statement["Principal"] == {"Federated": [f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"]}
    assert statement["Condition"]["StringEquals"] == {
        f"{issuer}:aud": ["sts.amazonaws.com"],
        f"{issuer}:sub": [f"system:serviceaccount:mcp-tools:{service_account['metadata']['name']}"],
    }


def test_a_second_deploy_of_it_plans_nothing(aws: Aws, manifest: Manifest) -> None:
    ours, wanted = account(aws, manifest), cloud(manifest)
    assert diff(wanted, ours.observe(), KINDS).due
    deployed(ours, wanted)
    assert not diff(wanted, ours.observe(), KINDS).due
    assert clusters.ASSOCIATION_KIND not in {key.kind for key in ours.observe()}


def test_a_trust_that_somebody_widened_is_drift_and_is_narrowed(aws: Aws, manifest: Manifest) -> None:
    ours, wanted = account(aws, manifest), cloud(manifest)
    deployed(ours, wanted)
    name = iam.role_name(identity_of(manifest))
    anybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    widened = json.dumps({"Version": "2012-10-17", "Statement": [anybody]})
    aws.client("iam").update_assume_role_policy(RoleName=name, PolicyDocument=widened)
    (change,) = diff(wanted, ours.observe(), KINDS).changes
    assert change.key == Key(iam.ROLE_KIND, name)
    deployed(ours, wanted)
    assert not diff(wanted, ours.observe(), KINDS).due


def test_the_load_balancer_gets_ports_of_the_nodes(manifest: Manifest) -> None:
    made = desired(manifest)
    service, ingress = only(made, "service"), only(made, "ingress")
    assert service["spec"]["type"] == "NodePort"
    assert not [port for port in service["spec"]["ports"] if "nodePort" in port], "the cluster chooses a free one"
    assert ingress["metadata"]["annotations"]["alb.ingress.kubernetes.io/target-type"] == "instance"
    (rule,) = ingress["spec"]["rules"]
    names = {path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
    assert names == {service["metadata"]["name"]}
