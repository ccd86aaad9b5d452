"""The target ``eks`` on a real cluster: behind the load balancer, its account by moto, its image under ECR's name.

Whoever deploys here is let in by a token that AWS credentials signed, with the rights that ``doctor`` prints and no
others.
"""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest

from mcp_packager.target import Identity
from mcp_packager.testing import Pack, TargetSuite
from mcp_packager.testing.client import greeting, let_in
from mcp_packager.testing.project import Project
from mcp_packager.verify import McpClient
from mcp_targets._aws.names import tags, unlisted
from mcp_targets._aws.rights import actions
from mcp_targets._kube.client import Api, kubeconfig
from mcp_targets._kube.kinds import BY_NAME, LEASES, SECRETS, SORTS
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.rights import cluster_role
from mcp_targets.eks.examine import NEEDED
from tests.cluster import amazon, roles
from tests.cluster.amazon import ACCOUNT, CLUSTER, REGION, Places
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import DOMAIN, Ingresses
from tests.cluster.machine import NODE

pytestmark = [pytest.mark.real("own-cluster", "base-image", "balancers", "docker-registry"), pytest.mark.timeout(900)]

NAMESPACE = "eks-tools"
OPTIONS = f"""\
cluster = "{CLUSTER}"
region = "{REGION}"
account = "{ACCOUNT}"
namespace = "{NAMESPACE}"
start_timeout = "90s"
"""
S3 = """
[[permissions.aws]]
actions = ["{action}"]
resources = ["arn:aws:s3:::notes/*"]
"""


WHO = """

@tool
def who() -> dict[str, str]:
    \"\"\"Tell who this is in AWS: its role, and whom its token names, for whom.\"\"\"
    import base64, json

    with open(os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"]) as file:
        body = file.read().split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return {"role": os.environ["AWS_ROLE_ARN"], "audience": " ".join(said["aud"]), "subject": said["sub"]}
"""
ASKING = """
[secrets.KEY]

[serve.auth]
mode = "bearer"
keys = ["KEY"]
"""


@pytest.fixture(scope="module")
def places(cluster: Cluster, ingresses: Ingresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """An account with the cluster in it."""
    cluster.apply(*amazon.deployers())
    folder = tmp_path_factory.mktemp("amazon")
    with amazon.account(cluster, folder, hosts=ingresses.hosts, authority=ingresses.authority) as there:
        yield there
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


@pytest.fixture
def tool(places: Places, tmp_path: Path) -> Iterator[Callable[..., tuple[Project, Pack]]]:
    """Makes tool projects in folders of their own; what is deployed of them is destroyed at the end."""
    made: list[Pack] = []

    def make(name: str, options: str, more: str = "") -> tuple[Project, Pack]:
        project = Project(tmp_path / name, "eks", OPTIONS + options, name)
        project.write("1.0.0")
        with (project.folder / "mcp-tool.toml").open("a") as manifest:
            manifest.write(more)
        environ = {"MCP_PACK_HOME": str(tmp_path / "home"), "KUBECONFIG": "/nonexistent", **places.environ}
        made.append(Pack(project.folder, "eks", environ))
        return project, made[-1]

    yield make
    for pack in made:
        pack.run("destroy", "--yes", "--data")


def objects_of(cluster: Cluster, tool: str, stage: str = "default") -> Objects:
    """What there is of a deployment, as somebody sees it who may see everything."""
    labels = Identity(tool, tool, stage).labels()
    api = Api(kubeconfig(None, {"KUBECONFIG": str(cluster.kubeconfig)}))
    return Objects(api, NAMESPACE, labels)


def left(cluster: Cluster, tool: str, stage: str = "default") -> list[str]:
    """Everything of a deployment that is still there, in the cluster and in the account."""
    objects, wanted = objects_of(cluster, tool, stage), tags(Identity(tool, tool, stage))
    sorts = [sort for sort in (*SORTS, SECRETS, LEASES) if sort.namespaced and objects.installed(sort)]
    found = [f"{thing['kind']} {thing['metadata']['name']}" for sort in sorts for thing in objects.listing(sort)]
    iam, ecr = (boto3.client(service, region_name=REGION) for service in ("iam", "ecr"))
    roles = [one["RoleName"] for one in iam.list_roles()["Roles"]]
    found += [name for name in roles if wanted.items() <= unlisted(iam.list_role_tags(RoleName=name)["Tags"]).items()]
    for repository in ecr.describe_repositories()["repositories"]:
        held = ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
        if wanted.items() <= unlisted(held).items():
            found.append(repository["repositoryName"])
    return found


def repositories() -> set[str]:
    """Every repository of the account."""
    found = boto3.client("ecr", region_name=REGION).describe_repositories()["repositories"]
    return {repository["repositoryName"] for repository in found}


class TestEks(TargetSuite):
    target = "eks"
    kill_moments = (0.3, 0.7)
    cluster: Cluster

    @pytest.fixture(scope="class")
    @classmethod
    def project(cls, tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, places: Places) -> Project:
        del places  # deploys find it by the environment
        cls.cluster = cluster
        more = f'host = "suite.{DOMAIN}"\n[stage.second.target.eks]\nhost = "suite-second.{DOMAIN}"\n'
        made = Project(tmp_path_factory.mktemp("project") / "suite", cls.target, OPTIONS + more)
        made.write("1.0.0")
        return made

    @pytest.fixture(scope="class")
    @classmethod
    def pack(cls, project: Project, places: Places, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pack]:
        environ = {"MCP_PACK_HOME": str(tmp_path_factory.mktemp("home")), "KUBECONFIG": "/nonexistent"}
        pack = Pack(project.folder, cls.target, {**environ, **places.environ})
        yield pack
        project.write("1.0.0")
        for stage in ("default", "second"):
            pack.at(stage).run("destroy", "--yes", "--data")
            assert left(cls.cluster, "suite-tool", stage) == []

    @classmethod
    def strike(cls, pack: Pack) -> None:
        objects = objects_of(cls.cluster, "suite-tool", pack.stage)
        for deployment in objects.listing(BY_NAME["deployment"]):
            objects.delete(BY_NAME["deployment"], deployment["metadata"]["name"])

    @classmethod
    def leftovers(cls, pack: Pack) -> Sequence[str]:
        # A repository is data: it stays unless --data is said, and is looked for when everything is taken away.
        return [name for name in left(cls.cluster, "suite-tool", pack.stage) if name not in repositories()]


def test_rights_in_aws_widen_narrow_and_go(
    tool: Callable[..., tuple[Project, Pack]], places: Places, cluster: Cluster
) -> None:
    boto3.client("secretsmanager", region_name=REGION).create_secret(Name="team/token", SecretString="hush-hush")
    kept = '[secrets.TOKEN]\nfrom = "aws-sm:team/token"\n'
    project, pack = tool("entitled", f'host = "entitled.{DOMAIN}"\n', kept + S3.format(action="s3:GetObject"))
    done = pack.deploy()
    assert greeting(done["endpoint"]["url"]).startswith("hello")
    assert any("CNAME" in note for note in done["notes"])
    held = [one.get("data", {}).get("value") for one in objects_of(cluster, "entitled").listing(SECRETS)]
    assert base64.b64encode(b"hush-hush").decode() in held
    assert "hush-hush" not in json.dumps(done)
    iam = boto3.client("iam")
    (role,) = [one for one in iam.list_roles()["Roles"] if one["RoleName"].startswith("entitled")]
    (association,) = places.amazon.associations.values()
    account = objects_of(cluster, "entitled").listing(BY_NAME["serviceaccount"])[0]["metadata"]["name"]
    assert (association["roleArn"], association["serviceAccount"]) == (role["Arn"], account)

    def allowed() -> set[str]:
        names = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
        documents = [
            iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"] for name in names
        ]
        return {action for document in documents for one in document["Statement"] for action in one["Action"]}

    assert allowed() == {"s3:GetObject"}
    places.amazon.asked.clear()
    assert pack.deploy()["changed"] is False
    assert places.amazon.writes() == []
    project.write("1.1.0")
    with (project.folder / "mcp-tool.toml").open("a") as manifest:
        manifest.write(kept + S3.format(action="s3:PutObject"))
    pack.deploy()
    assert allowed() == {"s3:PutObject"}
    project.write("1.2.0")
    pack.deploy()
    assert not places.amazon.associations
    assert not [one for one in iam.list_roles()["Roles"] if one["RoleName"].startswith("entitled")]
    known = {action.partition(":")[2] for action in actions(NEEDED)} | {"GetCallerIdentity"}
    asked = {one.partition(" ")[2] for one in places.amazon.asked if not one.startswith("eks ")}
    assert asked <= known


def test_what_another_tool_has_is_refused_before_anything_is_made(
    tool: Callable[..., tuple[Project, Pack]], cluster: Cluster
) -> None:
    _, first = tool("first", f'host = "tools.{DOMAIN}"\ngroup = "shared"\nshared_host = true\n', ASKING)
    first = first.having(KEY="a-key-of-a-caller")
    done = first.deploy()
    assert done["endpoint"]["url"] == f"https://tools.{DOMAIN}/first/mcp"
    assert [let_in(done["endpoint"]["url"], key) for key in (None, "a-key-of-a-caller")] == [False, True]
    described = f"https://tools.{DOMAIN}/.well-known/oauth-protected-resource/first/mcp"
    with urllib.request.urlopen(described, timeout=20) as answer:
        assert json.load(answer)["resource"] == done["endpoint"]["url"]
    claims = f'host = "tools.{DOMAIN}"\ngroup = "shared"\n'
    _, same = tool("same", claims, '[serve]\npath = "/first/mcp"\n')
    told = same.run("deploy", "--yes", expect=(1,)).told
    assert "same (default) and first (default) both claim" in told
    _, other = tool("other", f'host = "other.{DOMAIN}"\ngroup = "shared"\nidle_timeout = "900s"\n')
    told = other.run("deploy", "--yes", expect=(1,)).told
    assert "other (default) and first/first/default share the group shared" in told
    assert "idle_timeout.timeout_seconds = 300" in told
    for name in ("same", "other"):
        assert [thing for thing in left(cluster, name) if not thing.startswith(("Secret", "Lease"))] == []
    _, second = tool("second", f'host = "tools.{DOMAIN}"\ngroup = "shared"\nshared_host = true\n')
    assert greeting(second.deploy()["endpoint"]["url"]).startswith("hello")
    assert first.run("plan", "--exit-code").code == 0
    params = cluster.get("ingressclassparams", "mcp-pack-shared")
    assert params["metadata"]["annotations"]["mcp-pack/owner"] == "first/first/default"


def test_as_a_role_by_the_clusters_token_and_through_the_ports_of_the_nodes(
    tool: Callable[..., tuple[Project, Pack]], cluster: Cluster, ingresses: Ingresses, tmp_path: Path
) -> None:
    ways = 'identity = "irsa"\ntarget_type = "instance"\n'
    project, pack = tool("webbed", f'host = "webbed.{DOMAIN}"\n{ways}', S3.format(action="s3:GetObject"))
    with (project.folder / "suite_tool.py").open("a") as code:
        code.write(WHO)
    with roles.given(cluster, tmp_path / "webhook", NAMESPACE):
        url = pack.deploy()["endpoint"]["url"]
        told = McpClient(url).call_tool("who", {})["structuredContent"]
        assert pack.deploy()["changed"] is False
    (role,) = [one for one in boto3.client("iam").list_roles()["Roles"] if one["RoleName"].startswith("webbed")]
    (account,) = objects_of(cluster, "webbed").listing(BY_NAME["serviceaccount"])
    assert told["role"] == role["Arn"]
    assert told["audience"] == roles.AUDIENCE
    assert told["subject"] == f"system:serviceaccount:{NAMESPACE}:{account['metadata']['name']}"
    # Whom the role trusts is whom the token names.
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    asked = {key.rpartition(":")[2]: value for key, value in statement["Condition"]["StringEquals"].items()}
    assert asked == {"aud": [told["audience"]], "sub": [told["subject"]]}
    (service,) = objects_of(cluster, "webbed").listing(BY_NAME["service"])
    port = service["spec"]["ports"][0]["nodePort"]
    assert list(ingresses.targets(f"{NAMESPACE}/{service['metadata']['name']}")) == [f"{NODE}:{port}"]


def test_behind_a_gateway_it_is_looked_at_from_inside_where_nobody_serves_it(
    tool: Callable[..., tuple[Project, Pack]], cluster: Cluster
) -> None:
    _, pack = tool("routed", f'host = "routed.{DOMAIN}"\ngateway = "edge/public"\nscheme = "internal"\n')
    done = pack.deploy()
    assert "looked at from inside (cluster)" in done["verified"]
    assert any(f"https://routed.{DOMAIN}/mcp from outside" in line for line in done["unverified"])
    objects = objects_of(cluster, "routed")
    (route,) = objects.listing(BY_NAME["httproute"])
    (group,) = objects.listing(BY_NAME["targetgroupconfiguration"])
    assert route["spec"]["hostnames"] == [f"routed.{DOMAIN}"]
    assert group["spec"]["targetReference"]["name"] == route["spec"]["rules"][0]["backendRefs"][0]["name"]


def test_the_doctor_finds_what_there_is_and_prints_what_a_deployer_needs(
    tool: Callable[..., tuple[Project, Pack]], places: Places
) -> None:
    _, pack = tool("looked-at", f'host = "looked-at.{DOMAIN}"\n')
    said = pack.run("doctor", expect=(0, 3)).document
    found: dict[str, Any] = {one["name"]: one for one in said["findings"]}
    assert found["eks: AWS credentials"]["state"] == "ok"
    assert "Kubernetes v1." in found["eks: cluster"]["detail"]
    assert "class alb" in found["eks: load balancer controller"]["detail"]
    assert found["eks: metrics-server"]["state"] == "ok"
    assert found["eks: Pod Identity agent"]["state"] == "missing"
    assert not [name for name in found if name.startswith("eks: right to") and found[name]["state"] == "broken"]
    granted = {one["name"]: one["document"] for one in said["grants"]}
    assert granted["ClusterRole of a deployer"] == json.loads(json.dumps(cluster_role()))
    assert granted["IAM policy of a deployer"]["Version"] == "2012-10-17"
