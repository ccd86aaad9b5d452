"""What `eks` wants in cluster and account, from a manifest alone: nothing is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcp_packager.manifest import load
from mcp_packager.target import Exposure, Lifetime, Phase, Ref, Scope
from mcp_targets.eks import balancer, target
from mcp_targets.eks.options import Options
from tests.targets.aws.conftest import ACCOUNT, REGION
from tests.targets.aws.deployments import DIGEST, desired, objects, only, written

CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1"
S3 = """
[[permissions.aws]]
actions = ["s3:GetObject"]
resources = ["arn:aws:s3:::notes/*"]
"""
PREFIX = "alb.ingress.kubernetes.io/"
PER_TARGET = {
    "backend-protocol": "HTTP",
    "healthcheck-interval-seconds": "5",
    "healthcheck-path": "/readyz",
    "healthcheck-protocol": "HTTP",
    "healthcheck-timeout-seconds": "3",
    "healthy-threshold-count": "2",
    "success-codes": "200",
    "target-group-attributes": "deregistration_delay.timeout_seconds=80,"
    "load_balancing.algorithm.type=least_outstanding_requests",
    "target-type": "ip",
    "unhealthy-threshold-count": "2",
}


def said_on_ingress(folder: Path, options: str = "", more: str = "") -> dict[str, str]:
    """Those of the tool's Ingress, without their prefix."""
    ingress = only(desired(written(folder, options, more, host="notes.example.com")), "ingress")
    found: dict[str, str] = ingress["metadata"]["annotations"]
    return {key.removeprefix(PREFIX): value for key, value in found.items()}


def problems(folder: Path, options: str = "", more: str = "", host: str | None = "notes.example.com") -> list[str]:
    manifest = written(folder, options, more, host=host)
    return [problem.what for problem in target.check(manifest, manifest.targets["eks"])]


def test_a_load_balancer_of_its_own_is_told_everything(tmp_path: Path) -> None:
    assert said_on_ingress(tmp_path, f'certificate = ["{CERTIFICATE}"]') == {
        **PER_TARGET,
        "certificate-arn": CERTIFICATE,
        "listen-ports": '[{"HTTP":80},{"HTTPS":443}]',
        "load-balancer-attributes": "idle_timeout.timeout_seconds=65,"
        "routing.http.drop_invalid_header_fields.enabled=true",
        "scheme": "internal",
        "ssl-policy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
        "ssl-redirect": "443",
    }


def test_everything_else_of_it_can_be_said(tmp_path: Path) -> None:
    found = said_on_ingress(
        tmp_path,
        'scheme = "internet-facing"\nsubnets = ["subnet-1", "subnet-2"]\nsecurity_groups = ["sg-1"]\n'
        'inbound_cidrs = ["10.0.0.0/8"]\nwaf = "arn:aws:wafv2:x"\nidle_timeout = "15m"\nexternal_dns = true\n'
        'attributes = { "access_logs.s3.enabled" = "true" }',
        '[serve.auth]\nmode = "oidc"\nissuer = "https://login.example.com"',
    )
    assert found["scheme"] == "internet-facing"
    assert found["subnets"] == "subnet-1,subnet-2"
    assert (found["security-groups"], found["manage-backend-security-group-rules"]) == ("sg-1", "true")
    assert (found["inbound-cidrs"], found["wafv2-acl-arn"]) == ("10.0.0.0/8", "arn:aws:wafv2:x")
    assert found["load-balancer-attributes"].startswith("access_logs.s3.enabled=true,idle_timeout.timeout_seconds=900,")
    assert found["external-dns.alpha.kubernetes.io/hostname"] == "notes.example.com"


def test_every_annotation_is_text(tmp_path: Path) -> None:
    assert all(isinstance(value, str) for value in said_on_ingress(tmp_path, 'group = "tools"\norder = 5').values())


def test_a_tool_of_a_group_says_nothing_of_the_load_balancer(tmp_path: Path) -> None:
    manifest = written(tmp_path, 'group = "tools"\norder = 5', host="notes.example.com")
    made = desired(manifest)
    ingress, params, of_class = (only(made, kind) for kind in ("ingress", "ingressclassparams", "ingressclass"))
    assert {key.removeprefix(PREFIX): value for key, value in ingress["metadata"]["annotations"].items()} == {
        **PER_TARGET,
        "listen-ports": '[{"HTTP":80},{"HTTPS":443}]',
        "group.order": "5",
    }
    assert ingress["spec"]["ingressClassName"] == of_class["metadata"]["name"] == "mcp-pack-tools"
    assert of_class["spec"] == {
        "controller": "ingress.k8s.aws/alb",
        "parameters": {"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": "mcp-pack-tools"},
    }
    assert params["spec"] == {
        "group": {"name": "tools"},
        "scheme": "internal",
        "loadBalancerAttributes": [
            {"key": "idle_timeout.timeout_seconds", "value": "300"},
            {"key": "routing.http.drop_invalid_header_fields.enabled", "value": "true"},
        ],
        "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
        "sslRedirectPort": "443",
    }
    shared = [one for key, one in made.items() if key.kind in {"ingressclass", "ingressclassparams"}]
    assert {(one.scope, one.phase) for one in shared} == {(Scope.SHARED, Phase.PREPARE)}


def test_two_tools_of_a_group_agree_whatever_their_timeouts_are(tmp_path: Path) -> None:
    quick = desired(written(tmp_path / "a", 'group = "tools"', name="quick", host="a.example.com"))
    slow = desired(
        written(tmp_path / "b", 'group = "tools"', "[serve]\ntimeout = 200", name="slow", host="b.example.com")
    )
    assert only(quick, "ingressclassparams")["spec"] == only(slow, "ingressclassparams")["spec"]


def test_behind_somebody_elses_class_only_the_target_group_is_ours(tmp_path: Path) -> None:
    found = said_on_ingress(tmp_path, 'class = "platform"\ngroup = "tools"')
    assert found == {**PER_TARGET, "listen-ports": '[{"HTTPS":443}]', "group.name": "tools"}
    manifest = written(tmp_path, 'class = "platform"', host="notes.example.com")
    assert not objects(desired(manifest), "ingressclassparams")


def test_open_calls_outlast_everything_in_front(tmp_path: Path) -> None:
    made = desired(written(tmp_path, more="[serve]\ntimeout = 600", host="notes.example.com"))
    ingress, pod = only(made, "ingress"), only(made, "deployment")["spec"]["template"]["spec"]
    said = ingress["metadata"]["annotations"]
    config = json.loads(only(made, "configmap")["data"]["config.json"])
    assert "idle_timeout.timeout_seconds=605," in said[f"{PREFIX}load-balancer-attributes"]
    assert config["serve"]["keep_alive"] == 605 + 15
    pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause == 15
    assert f"deregistration_delay.timeout_seconds={15 + 600 + 5}," in said[f"{PREFIX}target-group-attributes"]
    assert pod["terminationGracePeriodSeconds"] >= 15 + 600


def test_on_a_host_of_its_own_and_on_a_shared_one(tmp_path: Path) -> None:
    own = only(desired(written(tmp_path / "own", host="notes.example.com")), "ingress")
    assert [path["path"] for path in own["spec"]["rules"][0]["http"]["paths"]] == [
        "/mcp",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource",
    ]
    made = desired(written(tmp_path / "shared", "shared_host = true", host="tools.example.com"))
    assert [path["path"] for path in only(made, "ingress")["spec"]["rules"][0]["http"]["paths"]] == [
        "/notes/mcp",
        "/.well-known/oauth-protected-resource/notes/mcp",
    ]
    config = json.loads(only(made, "configmap")["data"]["config.json"])
    assert (config["serve"]["path"], config["serve"]["root_metadata"]) == ("/notes/mcp", False)
    assert config["serve"]["public_url"] == "https://tools.example.com"


def test_without_a_host_there_is_no_way_in_from_outside(tmp_path: Path) -> None:
    made = desired(written(tmp_path, 'group = "tools"'))
    assert not {"ingress", "ingressclass", "ingressclassparams", "httproute"} & {key.kind for key in made}


def test_the_namespace_has_its_pods_wait_for_the_load_balancer(tmp_path: Path) -> None:
    namespace = only(desired(written(tmp_path)), "namespace")
    assert namespace["metadata"]["labels"]["elbv2.k8s.aws/pod-readiness-gate-inject"] == "enabled"


def test_ports_of_the_nodes_need_a_service_that_has_them(tmp_path: Path) -> None:
    made = desired(written(tmp_path, 'target_type = "instance"', host="notes.example.com"))
    assert only(made, "service")["spec"]["type"] == "NodePort"
    assert only(made, "ingress")["metadata"]["annotations"][f"{PREFIX}target-type"] == "instance"


def test_a_route_of_a_gateway_has_its_target_group_described(tmp_path: Path) -> None:
    made = desired(written(tmp_path, 'gateway = "edge/public/https"', host="notes.example.com"))
    route, group = only(made, "httproute"), only(made, "targetgroupconfiguration")
    (parent,) = route["spec"]["parentRefs"]
    assert (parent["namespace"], parent["name"], parent["sectionName"]) == ("edge", "public", "https")
    settings = group["spec"]["defaultConfiguration"]
    assert settings["targetType"] == "ip"
    assert settings["healthCheckConfig"]["healthCheckPath"] == "/readyz"
    assert {"key": "deregistration_delay.timeout_seconds", "value": "80"} in settings["targetGroupAttributes"]
    assert not objects(made, "ingress")


def test_the_image_is_in_the_tools_own_repository_and_runs_by_digest(tmp_path: Path) -> None:
    manifest = written(tmp_path)
    made = desired(manifest)
    ((repository, wanted),) = [(key, one) for key, one in made.items() if key.kind == "ecr-repository"]
    assert wanted.scope is Scope.DATA
    (image,) = [one for key, one in made.items() if key.kind == "image"]
    reference = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository.name}@{DIGEST}"
    assert image.fields["reference"] == reference
    assert repository in image.depends
    container = only(made, "deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == reference
    shared = desired(written(tmp_path, 'repository = "team/tools"'))
    ((key, one),) = [(key, one) for key, one in shared.items() if key.kind == "ecr-repository"]
    assert (key.name, one.scope) == ("team/tools", Scope.SHARED)


def test_rights_in_aws_are_a_role_of_the_pods_alone(tmp_path: Path) -> None:
    made = desired(written(tmp_path, more=S3))
    kinds = {key.kind: one for key, one in made.items()}
    role, policy, association = (kinds[kind] for kind in ("iam-role", "iam-policy", "pod-identity"))
    account = only(made, "serviceaccount")
    assert association.fields == {
        "namespace": "mcp-tools",
        "service_account": account["metadata"]["name"],
        "role": f"arn:aws:iam::{ACCOUNT}:role/{role.name}",
    }
    assert role.fields["trust"]["service_account"] == account["metadata"]["name"]
    (statement,) = policy.fields["document"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == (["s3:GetObject"], ["arn:aws:s3:::notes/*"])
    assert policy.lifetime is Lifetime.CURRENT
    assert "annotations" not in account["metadata"]
    egress = only(made, "networkpolicy")["spec"]["egress"]
    assert any({"ipBlock": {"cidr": "169.254.170.23/32"}} in rule.get("to", ()) for rule in egress)
    (image,) = [one for key, one in made.items() if key.kind == "image"]
    assert {role.key, policy.key, association.key} <= set(image.depends)


def test_by_the_clusters_tokens_the_service_account_names_the_role(tmp_path: Path) -> None:
    made = desired(written(tmp_path, 'identity = "irsa"', S3))
    kinds = {key.kind: one for key, one in made.items()}
    cluster, role = kinds["eks-cluster"], kinds["iam-role"]
    assert cluster.scope is Scope.SHARED
    assert role.fields["trust"]["issuer"] == Ref(cluster.key, "issuer")
    assert "pod-identity" not in kinds
    annotated = only(made, "serviceaccount")["metadata"]["annotations"]
    assert annotated == {"eks.amazonaws.com/role-arn": f"arn:aws:iam::{ACCOUNT}:role/{role.name}"}


def test_without_rights_there_is_no_role(tmp_path: Path) -> None:
    assert not {key.kind for key in desired(written(tmp_path))} & {"iam-role", "iam-policy", "pod-identity"}


def test_the_same_again_is_the_same(tmp_path: Path) -> None:
    manifest = written(tmp_path, 'group = "tools"', S3, host="notes.example.com")
    assert [one.as_json() for one in desired(manifest).values()] == [
        one.as_json() for one in desired(manifest).values()
    ]


@pytest.mark.parametrize(
    ("options", "more", "said"),
    [
        ("", "[serve]\ntimeout = 5000", "cuts a connection that is silent for 4000 s"),
        ('group = "tools"', "[serve]\ntimeout = 400", "cuts a connection that is silent for 300 s"),
        ('idle_timeout = "2h"', "", "between 1 s and 4000 s"),
        ('class = "platform"\nssl_policy = "x"', "", "ssl_policy belongs to whoever looks after the load balancer"),
        ('class = "platform"\ngateway = "a/b"', "", "not both"),
        ('group = "tools"\nsecurity_groups = ["sg-1"]', "", "security_groups cannot be said for a group"),
        ('scheme = "internet-facing"\nhttps = false', "", "would not be encrypted"),
        ('certificate = ["arn:aws:acm:us-east-1:123456789012:certificate/1"]', "", "certificates of its own region"),
        ("", '[serve]\npublic_url = "https://other.example.com"', "name two hosts"),
        ("", '[pin]\naws_region = "us-east-1"', "name two regions"),
        ("", '[pin]\naws_account = "999999999999"', "name two accounts"),
        ('namespace = "kube-system"', "", "is not made for one tool"),
    ],
)
def test_what_does_not_go_together_is_said(tmp_path: Path, options: str, more: str, said: str) -> None:
    found = problems(tmp_path, options, more)
    assert any(said in what for what in found), found


def test_a_host_to_share_must_be_there(tmp_path: Path) -> None:
    assert any("no host to share" in what for what in problems(tmp_path, "shared_host = true", host=None))


def test_the_smallest_manifest_is_told_all_that_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "mcp-tool.toml").write_text('[tool]\nname = "notes"\nentrypoint = "notes"\n')
    manifest = load(tmp_path, options={"eks": Options})
    found = target.check(manifest, Options())
    assert [problem.where.key for problem in found] == [
        "target.eks.cluster",
        "target.eks.region",
        "target.eks.account",
    ]


def test_the_pin_says_where_it_goes_too(tmp_path: Path) -> None:
    (tmp_path / "mcp-tool.toml").write_text(
        '[tool]\nname = "notes"\nentrypoint = "notes"\n[target.eks]\ncluster = "main"\n'
        f'[pin]\naws_account = "{ACCOUNT}"\naws_region = "{REGION}"\n'
    )
    manifest = load(tmp_path, options={"eks": Options})
    assert target.check(manifest, manifest.targets["eks"]) == ()
    assert any(key.kind == "ecr-repository" for key in desired(manifest))


@pytest.mark.parametrize(
    ("options", "exposure"),
    [
        ("", Exposure.NETWORK),
        ('scheme = "internet-facing"', Exposure.INTERNET),
        ('class = "platform"', Exposure.INTERNET),
        ('class = "platform"\nscheme = "internal"', Exposure.NETWORK),
        ('gateway = "edge/public"', Exposure.INTERNET),
        ('group = "tools"', Exposure.NETWORK),
    ],
)
def test_who_reaches_it_decides_who_must_be_asked(tmp_path: Path, options: str, exposure: Exposure) -> None:
    manifest = written(tmp_path, options, host="notes.example.com")
    assert target.exposure(manifest, manifest.targets["eks"]) is exposure


def test_the_longest_call_is_within_every_limit_of_a_load_balancer(tmp_path: Path) -> None:
    manifest = written(tmp_path, more="[serve]\ntimeout = 3990", host="notes.example.com")
    assert balancer.idle(manifest, manifest.targets["eks"]) <= 4000
    assert balancer.delay(manifest) <= 3600
