"""What is held against the cluster before the first change, and what a deploy leaves for people. AWS is moto's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from mcp_packager.engine import diff
from mcp_packager.errors import UserError
from mcp_packager.manifest import Manifest
from mcp_packager.target import Plan, identity_of
from mcp_targets._aws.acm import covers
from mcp_targets._aws.rights import actions, deployer_policy
from mcp_targets._aws.session import Aws, Wanted, plain_client
from mcp_targets._kube.client import Access, Api
from mcp_targets._kube.kinds import KINDS
from mcp_targets.eks.account import KINDS as BESIDE
from mcp_targets.eks.account import Account, dns_note
from mcp_targets.eks.examine import NEEDED
from tests.targets.aws.conftest import ACCOUNT, REGION
from tests.targets.aws.deployments import desired, written

CLASS = {"metadata": {"name": "alb"}, "spec": {"controller": "ingress.k8s.aws/alb"}}
NOWHERE = Api(Access("nowhere", lambda: pytest.fail("the cluster was asked")))


class Cluster:
    """Listings that a test wrote."""

    def __init__(self, **listings: Any) -> None:
        self._listings: Mapping[str, Any] = {"IngressClass": [CLASS], **listings}
        self.asked: list[str] = []

    def listing(self, api_version: str, kind: str, *, namespace: str | None = None, selector: str = "") -> list[Any]:
        self.asked.append(kind)
        return list(self._listings.get(kind, []))


def account(manifest: Manifest, aws: Aws) -> Account:
    return Account(aws, NOWHERE, identity_of(manifest), manifest.targets["eks"], manifest)


def plan(manifest: Manifest, there: Manifest | None = None) -> Plan:
    """The plan of a first deploy; or of one where everything of another manifest is there."""
    from mcp_packager.target import Observed

    seen = {} if there is None else desired(there)
    observed = {
        key: Observed(*key, {**one.fields, "made": "1", "version": "1"}, one.scope) for key, one in seen.items()
    }
    return diff(tuple(desired(manifest).values()), observed, (*BESIDE, *KINDS))


def tool(folder: Path, name: str, options: str = "", host: str = "tools.example.com", more: str = "") -> Manifest:
    return written(folder / name, options, more, name=name, host=host)


def ingress_of(manifest: Manifest) -> Any:
    (found,) = [one.fields["object"] for key, one in desired(manifest).items() if key.kind == "ingress"]
    return found


def test_a_host_that_another_tool_of_the_group_has_is_refused(tmp_path: Path, aws: Aws) -> None:
    ours = tool(tmp_path, "ours", 'class = "alb"\ngroup = "g"\nscheme = "internal"')
    theirs = ingress_of(tool(tmp_path, "theirs", 'class = "alb"\ngroup = "g"\nscheme = "internal"'))
    with pytest.raises(UserError, match=r"ours \(default\) and theirs \(default\) both claim tools.example.com/mcp"):
        account(ours, aws).rehearse(plan(ours), Cluster(Ingress=[theirs]))


def test_our_own_ingress_is_not_in_our_way(tmp_path: Path, aws: Aws) -> None:
    ours = tool(tmp_path, "ours")
    assert account(ours, aws).rehearse(plan(ours), Cluster(Ingress=[ingress_of(ours)])) == ()


def test_a_cluster_without_the_controllers_class_is_refused(tmp_path: Path, aws: Aws) -> None:
    ours = tool(tmp_path, "ours")
    nginx = {"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}}
    with pytest.raises(UserError, match="has no IngressClass alb"):
        account(ours, aws).rehearse(plan(ours), Cluster(IngressClass=[nginx]))


def test_classes_that_we_may_not_see_are_said_to_be_unseen(tmp_path: Path, aws: Aws) -> None:
    ours = tool(tmp_path, "ours")
    (line,) = account(ours, aws).rehearse(plan(ours), Cluster(IngressClass=[]))
    assert "none could be seen" in line


def test_a_plan_that_leaves_the_load_balancer_alone_asks_nobody(tmp_path: Path, aws: Aws) -> None:
    before = tool(tmp_path / "before", "ours")
    after = tool(tmp_path / "after", "ours", more='[env]\nX = "1"')
    cluster = Cluster()
    due = plan(after, before)
    assert due.due
    assert account(after, aws).rehearse(due, cluster) == ()
    assert cluster.asked == []


def certificate(aws: Aws, *names: str) -> str:
    first, *others = names
    extra = {"SubjectAlternativeNames": others} if others else {}
    arn: str = aws.client("acm").request_certificate(DomainName=first, **extra)["CertificateArn"]
    return arn


def test_a_certificate_for_another_host_is_refused(tmp_path: Path, aws: Aws) -> None:
    arn = certificate(aws, "other.example.com", "*.example.org")
    ours = tool(tmp_path, "ours", f'certificate = ["{arn}"]')
    with pytest.raises(UserError, match="covers the host tools") as caught:
        account(ours, aws).rehearse(plan(ours), Cluster())
    assert "*.example.org" in str(caught.value.problems[0].found)


def test_a_certificate_that_is_not_issued_is_refused(tmp_path: Path, aws: Aws) -> None:
    arn = certificate(aws, "*.example.com")
    ours = tool(tmp_path, "ours", f'certificate = ["{arn}"]')
    with pytest.raises(UserError, match="cannot be used: it is PENDING_VALIDATION"):
        account(ours, aws).rehearse(plan(ours), Cluster())


def test_a_certificate_that_we_may_not_read_is_said_to_be_unread(tmp_path: Path, aws: Aws) -> None:
    ours = tool(tmp_path, "ours", f'certificate = ["arn:aws:acm:{REGION}:{ACCOUNT}:certificate/none"]')
    (line,) = account(ours, aws).rehearse(plan(ours), Cluster())
    assert line.startswith("whether the certificate covers tools.example.com")


@pytest.mark.parametrize(
    ("name", "host", "good"),
    [
        ("a.example.com", "a.example.com", True),
        ("A.Example.com", "a.example.COM.", True),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.example.com", False),
        ("*.example.com", "example.com", False),
        ("b.example.com", "a.example.com", False),
    ],
)
def test_a_star_stands_for_one_label(name: str, host: str, good: bool) -> None:
    assert covers([name], host) is good


def test_the_dns_record_is_told_once_the_load_balancer_has_a_name(tmp_path: Path, aws: Aws) -> None:
    ours = tool(tmp_path, "ours")
    point = {"status": {"loadBalancer": {"ingress": [{"hostname": "k8s-1.elb.amazonaws.com"}]}}}
    (note,) = account(ours, aws).notes(Cluster(Ingress=[point]))
    assert "tools.example.com CNAME k8s-1.elb.amazonaws.com" in note
    assert "kubectl get ingress -n mcp-tools" in dns_note("tools.example.com", [{"status": {}}], "mcp-tools")
    by_itself = tool(tmp_path / "dns", "ours", "external_dns = true")
    assert account(by_itself, aws).notes(Cluster(Ingress=[point])) == ()
    assert account(written(tmp_path / "inside"), aws).notes(Cluster()) == ()


def test_every_call_that_is_made_is_in_the_policy_of_a_deployer(tmp_path: Path) -> None:
    made: set[str] = set()

    def noting(service: str, region: str) -> Any:
        client = plain_client(service, region)
        client.meta.events.register("before-call", lambda model, **_: made.add(f"{service}:{model.name}"))
        return client

    from tests.targets.aws.making import making, removing

    with mock_aws():
        aws = Aws(Wanted(REGION, ACCOUNT), noting)
        more = '[[permissions.aws]]\nactions = ["s3:GetObject"]\nresources = ["*"]'
        manifest = tool(tmp_path, "ours", more=more)
        ours = account(manifest, aws)
        cloud = [
            one for key, one in desired(manifest).items() if key.kind in {"ecr-repository", "iam-role", "iam-policy"}
        ]
        for one in cloud:
            ours.apply(making(one))
        seen = {one.key: one for each in (ours._roles.observe(), ours._repositories.observe()) for one in each}
        for one in cloud:
            ours.apply(making(one, seen[one.key]))
        for one in reversed(cloud):
            ours.apply(removing(one.key, seen[one.key]))
    assert len(made) > 10
    assert made - {"sts:GetCallerIdentity"} <= set(actions(NEEDED))


def test_the_policy_of_a_deployer_names_account_and_region() -> None:
    document = deployer_policy(NEEDED, partition="aws", region=REGION, account=ACCOUNT)
    by_resource = {one["Resource"][0]: one["Action"] for one in document["Statement"]}
    assert by_resource["*"] == ["ecr:GetAuthorizationToken"]
    assert "ecr:PutImage" in by_resource[f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/*"]
    assert "eks:DescribeCluster" in by_resource[f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/*"]
    assert len({action for found in by_resource.values() for action in found}) == len(set(actions(NEEDED)))


def test_the_page_shows_the_policy_as_it_is() -> None:
    text = (Path(__file__).parents[3] / "docs" / "eks.md").read_text("utf-8")
    shown = json.loads(text.partition("```json\n")[2].partition("```")[0])
    assert shown == deployer_policy(NEEDED, partition="aws", region=REGION, account=ACCOUNT)
