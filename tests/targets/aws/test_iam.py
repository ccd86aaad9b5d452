"""A role, its policies, and what a plan sees of them. AWS is moto's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcp_packager.engine import diff
from mcp_packager.errors import WorldError
from mcp_packager.manifest.permission import AwsStatement
from mcp_packager.target import Action, Identity, Key, Phase, Ref, Resource
from mcp_targets._aws.documents import (
    normalised,
    pod_trust,
    policy,
    reading,
    service_trust,
    statements_of,
    trust_document,
    web_trust,
)
from mcp_targets._aws.iam import KINDS, POLICY_KIND, ROLE_KIND, Roles, role_name
from mcp_targets._aws.names import listed, tags
from mcp_targets._aws.session import Aws
from tests.targets.aws.making import making, removing

ANYTHING = policy([{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}])
TRUST = pod_trust("main", "tools", "notes")


def role(identity: Identity, trust: Any = TRUST, boundary: str | None = None) -> Resource:
    return Resource(ROLE_KIND, role_name(identity), {"trust": trust, "boundary": boundary})


def allowing(identity: Identity, name: str, *actions: str) -> Resource:
    document = policy([{"Effect": "Allow", "Action": list(actions), "Resource": ["*"]}])
    key = Key(ROLE_KIND, role_name(identity))
    return Resource(POLICY_KIND, name, {"role": key.name, "document": document}, (key,))


def held(aws: Aws, identity: Identity) -> set[str]:
    return set(aws.client("iam").list_role_policies(RoleName=role_name(identity))["PolicyNames"])


def test_what_is_made_is_seen_as_it_was_wanted(aws: Aws, identity: Identity) -> None:
    roles = Roles(aws, identity)
    wanted = (role(identity), allowing(identity, "first", "s3:GetObject"))
    for one in wanted:
        roles.apply(making(one))
    seen = {one.key: one for one in roles.observe()}
    assert not diff(wanted, seen, KINDS).due
    assert seen[wanted[0].key].fields["arn"] == f"arn:aws:iam::{aws.caller.account}:role/{role_name(identity)}"


def test_rights_widen_before_clients_move_and_narrow_after(aws: Aws, identity: Identity) -> None:
    roles = Roles(aws, identity)
    before = (role(identity), allowing(identity, "old", "s3:GetObject"))
    for one in before:
        roles.apply(making(one))
    after = (role(identity), allowing(identity, "new", "s3:PutObject"))
    plan = diff(after, {one.key: one for one in roles.observe()}, KINDS)
    assert [(change.action, change.key.name, change.phase) for change in plan.changes] == [
        (Action.CREATE, "new", Phase.PREPARE),
        (Action.DELETE, "old", Phase.RETIRE),
    ]
    roles.apply(making(after[1]))
    assert held(aws, identity) == {"mcp-pack-old", "mcp-pack-new"}
    roles.apply(removing(before[1].key))
    assert held(aws, identity) == {"mcp-pack-new"}


def test_trust_that_somebody_changed_is_seen_and_put_right(aws: Aws, identity: Identity) -> None:
    roles = Roles(aws, identity)
    wanted = role(identity)
    roles.apply(making(wanted))
    opened = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}
    aws.client("iam").update_assume_role_policy(RoleName=wanted.name, PolicyDocument=json.dumps(opened))
    (seen,) = roles.observe()
    plan = diff((wanted,), {seen.key: seen}, KINDS)
    assert [change.action for change in plan.changes] == [Action.UPDATE]
    roles.apply(making(wanted, seen))
    (mended,) = roles.observe()
    assert not diff((wanted,), {mended.key: mended}, KINDS).due


def test_a_boundary_is_put_on_and_taken_off(aws: Aws, identity: Identity) -> None:
    roles = Roles(aws, identity)
    bound = f"arn:aws:iam::{aws.caller.account}:policy/bounds"
    aws.client("iam").create_policy(PolicyName="bounds", PolicyDocument=json.dumps(ANYTHING))
    roles.apply(making(role(identity, boundary=bound)))
    (seen,) = roles.observe()
    assert seen.fields["boundary"] == bound
    roles.apply(making(role(identity), seen))
    (seen,) = roles.observe()
    assert seen.fields["boundary"] is None


def test_a_role_of_somebody_elses_is_neither_seen_nor_touched(aws: Aws, identity: Identity) -> None:
    other = Identity("team", "notes", "dev")
    aws.client("iam").create_role(
        RoleName=role_name(identity),
        AssumeRolePolicyDocument=json.dumps(trust_document(service_trust("ec2.amazonaws.com"))),
        Tags=listed(tags(other)),
    )
    roles = Roles(aws, identity)
    assert list(roles.observe()) == []
    for step in (making(role(identity)), removing(Key(ROLE_KIND, role_name(identity)))):
        with pytest.raises(WorldError) as caught:
            roles.apply(step)
        assert "team/notes/dev" in str(caught.value.problems[0].found)
    kept = aws.client("iam").get_role(RoleName=role_name(identity))["Role"]["AssumeRolePolicyDocument"]
    assert kept == trust_document(service_trust("ec2.amazonaws.com"))


def test_a_role_goes_with_all_that_was_put_on_it_by_hand(aws: Aws, identity: Identity) -> None:
    roles, iam = Roles(aws, identity), aws.client("iam")
    for one in (role(identity), allowing(identity, "first", "s3:GetObject")):
        roles.apply(making(one))
    name = role_name(identity)
    iam.put_role_policy(RoleName=name, PolicyName="by-hand", PolicyDocument=json.dumps(ANYTHING))
    arn = iam.create_policy(PolicyName="attached", PolicyDocument=json.dumps(ANYTHING))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    roles.apply(removing(Key(POLICY_KIND, "first")))
    roles.apply(removing(Key(ROLE_KIND, name)))
    roles.apply(removing(Key(ROLE_KIND, name)))
    assert iam.list_roles()["Roles"] == []


def test_making_what_is_there_is_fine(aws: Aws, identity: Identity) -> None:
    roles = Roles(aws, identity)
    for one in (role(identity), allowing(identity, "first", "s3:GetObject")) * 2:
        roles.apply(making(one))
    assert held(aws, identity) == {"mcp-pack-first"}


def test_more_than_a_role_can_hold_is_said_before_aws_says_it(aws: Aws, identity: Identity) -> None:
    roles = Roles(aws, identity)
    roles.apply(making(role(identity)))
    with pytest.raises(WorldError, match="does not fit into its role"):
        roles.apply(making(allowing(identity, "large", *(f"s3:Get{number:05}" for number in range(1000)))))
    assert held(aws, identity) == set()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"Action": "s3:Get*", "Resource": "*"}, {"Action": ["s3:Get*"], "Resource": ["*"]}),
        ({"Action": ["b:X", "a:X"], "Resource": ["*"]}, {"Action": ["a:X", "b:X", "a:X"], "Resource": "*"}),
        (
            {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
            {"Condition": {"Bool": {"aws:SecureTransport": True}}},
        ),
        ({"Principal": {"AWS": "1"}}, {"Principal": {"AWS": ["1"]}}),
    ],
)
def test_two_spellings_of_one_policy_are_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert normalised({"Statement": one}) == normalised({"Statement": [other]})


def test_two_policies_are_not_the_same() -> None:
    one = {"Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}
    assert normalised(one) != normalised({"Statement": [{**one["Statement"][0], "Effect": "Deny"}]})


def test_a_pods_role_is_for_one_service_account_of_one_cluster() -> None:
    (statement,) = trust_document(TRUST)["Statement"]
    assert statement["Principal"] == {"Service": ["pods.eks.amazonaws.com"]}
    assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert statement["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-name": ["main"],
        "aws:RequestTag/kubernetes-namespace": ["tools"],
        "aws:RequestTag/kubernetes-service-account": ["notes"],
    }


def test_irsa_believes_the_clusters_issuer_alone() -> None:
    (statement,) = trust_document(web_trust("arn:provider", "oidc.eks/id/1", "tools", "notes"))["Statement"]
    assert statement["Principal"] == {"Federated": ["arn:provider"]}
    assert statement["Condition"]["StringEquals"] == {
        "oidc.eks/id/1:aud": ["sts.amazonaws.com"],
        "oidc.eks/id/1:sub": ["system:serviceaccount:tools:notes"],
    }


def test_trust_that_only_the_cluster_knows_is_planned(aws: Aws, identity: Identity) -> None:
    cluster = Resource("eks-cluster", "main", {"name": "main"})
    trust = web_trust(Ref(cluster.key, "provider"), Ref(cluster.key, "issuer"), "tools", "notes")
    roles = Roles(aws, identity)
    roles.apply(making(role(identity, web_trust("arn:p", "issuer", "tools", "notes"))))
    (seen,) = roles.observe()
    from mcp_packager.target import Observed
    from mcp_targets._aws.eks import KINDS as CLUSTERS

    there = Observed("eks-cluster", "main", {"name": "main", "provider": "arn:p", "issuer": "issuer"})
    wanted = (cluster, role(identity, trust))
    assert not diff(wanted, {seen.key: seen, there.key: there}, (*CLUSTERS, *KINDS)).due


def test_a_service_may_be_the_role() -> None:
    (statement,) = trust_document(service_trust("lambda.amazonaws.com"))["Statement"]
    assert statement["Principal"] == {"Service": ["lambda.amazonaws.com"]}


def test_declared_statements_become_a_policy() -> None:
    declared = AwsStatement.model_validate(
        {
            "actions": ["s3:GetObject"],
            "resources": ["arn:aws:s3:::notes/*"],
            "conditions": {"StringEquals": {"aws:ResourceAccount": "1"}},
        }
    )
    assert policy(statements_of([declared]))["Statement"] == [
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": ["arn:aws:s3:::notes/*"],
            "Condition": {"StringEquals": {"aws:ResourceAccount": ["1"]}},
        }
    ]


def test_a_tool_may_read_its_own_secrets_and_no_others() -> None:
    sources = [("aws-sm", "team/key#field"), ("aws-ssm", "/team/name"), ("env", "X")]
    assert reading(sources, partition="aws", region="eu-central-1", account="1") == [
        {
            "Effect": "Allow",
            "Action": ["secretsmanager:GetSecretValue"],
            "Resource": ["arn:aws:secretsmanager:eu-central-1:1:secret:team/key-??????"],
        },
        {
            "Effect": "Allow",
            "Action": ["ssm:GetParameter"],
            "Resource": ["arn:aws:ssm:eu-central-1:1:parameter/team/name"],
        },
    ]
