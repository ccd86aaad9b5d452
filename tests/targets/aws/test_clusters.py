"""A cluster of EKS: its address, tokens for it, and the service account that is a role."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mcp_packager.engine import diff
from mcp_packager.errors import UserError, WorldError
from mcp_packager.target import Action, Identity, Resource, TransientError
from mcp_targets._aws.eks import ASSOCIATION_KIND, KINDS, TOKEN_SECONDS, Associations, Tokens, describe, token
from mcp_targets._aws.names import tags
from mcp_targets._aws.session import Aws
from tests.targets.aws.conftest import ACCOUNT, REGION
from tests.targets.aws.making import Said, making, removing, stubbed

ROLE = f"arn:aws:iam::{ACCOUNT}:role/notes"
FIELDS = {"namespace": "tools", "service_account": "notes", "role": ROLE}
ASSOCIATION = Resource(ASSOCIATION_KIND, "notes", FIELDS)


def made(identity: Identity, role: str = ROLE, held: dict[str, str] | None = None) -> dict[str, Any]:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    return {
        "association": {
            "clusterName": "main",
            "namespace": "tools",
            "serviceAccount": "notes",
            "roleArn": role,
            "associationId": "a-1",
            "associationArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/main/a-1",
            "tags": tags(identity) if held is None else held,
            "createdAt": when,
            "modifiedAt": when,
        }
    }


def found(eks: Said, answer: dict[str, Any] | None) -> None:
    """The two questions by which an association is looked up."""
    place = {"clusterName": "main", "namespace": "tools", "serviceAccount": "notes"}
    short = {"associationId": "a-1", "clusterName": "main"}
    eks.asked("list_pod_identity_associations", place, {"associations": [] if answer is None else [short]})
    if answer is not None:
        eks.asked("describe_pod_identity_association", {"clusterName": "main", "associationId": "a-1"}, answer)


def test_a_cluster_tells_where_it_is(aws: Aws) -> None:
    aws.client("eks").create_cluster(
        name="main", roleArn=ROLE, resourcesVpcConfig={"subnetIds": ["subnet-1"], "securityGroupIds": []}
    )
    cluster = describe(aws, "main")
    assert cluster.endpoint.startswith("https://")
    assert base64.b64decode(cluster.authority)
    assert cluster.issuer is not None
    assert not cluster.issuer.startswith("https://")
    assert cluster.provider(ACCOUNT, "aws") == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{cluster.issuer}"


def test_a_cluster_that_is_not_there_is_said_to_be_so(aws: Aws) -> None:
    with pytest.raises(UserError) as caught:
        describe(aws, "main")
    assert f"no cluster main in {REGION} of account {ACCOUNT}" in caught.value.problems[0].what


def test_a_cluster_that_is_being_made_has_no_address() -> None:
    eks = Said("eks")
    eks.asked("describe_cluster", {"name": "main"}, {"cluster": {"name": "main", "arn": "x", "status": "CREATING"}})
    with stubbed(eks) as aws, pytest.raises(WorldError, match="it is creating"):
        describe(aws, "main")


def test_a_token_is_a_presigned_question_tied_to_the_cluster(aws: Aws) -> None:
    text = token(aws, "main")
    head, _, rest = text.partition(".")
    assert head == "k8s-aws-v1"
    assert "=" not in rest
    url = urlsplit(base64.urlsafe_b64decode(rest + "=" * (-len(rest) % 4)).decode())
    said = parse_qs(url.query)
    assert url.hostname == f"sts.{REGION}.amazonaws.com"
    assert said["Action"] == ["GetCallerIdentity"]
    assert said["X-Amz-Expires"] == ["60"]
    assert "x-k8s-aws-id" in said["X-Amz-SignedHeaders"][0].split(";")
    assert said["X-Amz-Credential"][0].split("/")[2:4] == [REGION, "sts"]


def test_two_clusters_have_two_tokens(aws: Aws) -> None:
    def signature(text: str) -> list[str]:
        rest = text.partition(".")[2]
        url = base64.urlsafe_b64decode(rest + "=" * (-len(rest) % 4)).decode()
        return parse_qs(urlsplit(url).query)["X-Amz-Signature"]

    assert signature(token(aws, "main")) != signature(token(aws, "other"))


def test_a_token_is_made_anew_before_it_is_too_old(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    count = 0

    def counted(_: Aws, cluster: str) -> str:
        nonlocal count
        count += 1
        return f"{cluster}-{count}"

    monkeypatch.setattr("mcp_targets._aws.eks.token", counted)
    tokens = Tokens(aws, "main", lambda: now)
    assert [tokens.current(), tokens.current()] == ["main-1", "main-1"]
    now = TOKEN_SECONDS - 1.0
    assert tokens.current() == "main-1"
    now = TOKEN_SECONDS + 1.0
    assert tokens.current() == "main-2"
    assert TOKEN_SECONDS < 15 * 60


def test_a_service_account_becomes_a_role_and_is_seen_as_wanted(identity: Identity) -> None:
    eks = Said("eks")
    found(eks, None)
    asked = {"clusterName": "main", "namespace": "tools", "serviceAccount": "notes", "roleArn": ROLE}
    eks.asked("create_pod_identity_association", {**asked, "tags": tags(identity)}, made(identity))
    found(eks, made(identity))
    with stubbed(eks) as aws:
        associations = Associations(aws, identity, "main")
        assert associations.apply(making(ASSOCIATION))["role"] == ROLE
        (seen,) = associations.observe("tools", "notes")
        assert not diff((ASSOCIATION,), {seen.key: seen}, KINDS).due


def test_another_role_is_an_update(identity: Identity) -> None:
    eks = Said("eks")
    other = made(identity, f"{ROLE}-2")
    found(eks, other)
    found(eks, other)
    eks.asked(
        "update_pod_identity_association",
        {"clusterName": "main", "associationId": "a-1", "roleArn": ROLE},
        made(identity),
    )
    with stubbed(eks) as aws:
        associations = Associations(aws, identity, "main")
        (seen,) = associations.observe("tools", "notes")
        (change,) = diff((ASSOCIATION,), {seen.key: seen}, KINDS).changes
        assert change.action is Action.UPDATE
        associations.apply(making(ASSOCIATION, seen))


def test_an_association_goes_and_is_gone(identity: Identity) -> None:
    eks = Said("eks")
    found(eks, made(identity))
    found(eks, made(identity))
    eks.asked("delete_pod_identity_association", {"clusterName": "main", "associationId": "a-1"}, made(identity))
    found(eks, None)
    with stubbed(eks) as aws:
        associations = Associations(aws, identity, "main")
        (seen,) = associations.observe("tools", "notes")
        associations.apply(removing(seen.key, seen))
        associations.apply(removing(seen.key, seen))


def test_somebody_elses_association_is_left_alone(identity: Identity) -> None:
    eks = Said("eks")
    found(eks, made(identity, held={}))
    found(eks, made(identity, held={}))
    with stubbed(eks) as aws:
        associations = Associations(aws, identity, "main")
        assert list(associations.observe("tools", "notes")) == []
        with pytest.raises(WorldError, match="is not this deployment's"):
            associations.apply(making(ASSOCIATION))


def test_a_role_that_is_not_known_everywhere_yet_is_worth_another_try(identity: Identity) -> None:
    eks = Said("eks")
    found(eks, None)
    said = "Role provided in the request does not exist."
    eks.refused("create_pod_identity_association", "InvalidParameterException", said)
    with stubbed(eks) as aws, pytest.raises(TransientError):
        Associations(aws, identity, "main").apply(making(ASSOCIATION))
