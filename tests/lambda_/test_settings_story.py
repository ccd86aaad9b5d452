"""What a function may have beside code: a network, snapshots, environments started ahead, code that comes by a bucket.

The fake keeps what AWS refuses and what it takes time for, so that a call in the wrong order fails here.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from moto.s3.models import s3_backends

from mcp_packager import engine
from mcp_packager.errors import PackError, UserError
from mcp_packager.target import Artifact, Endpoint, Intent, Phase, Verification
from mcp_packager.testing.aws import ACCOUNT, Cloud
from mcp_targets.aws_lambda import waiting
from mcp_targets.aws_lambda.doors import LIVE
from tests.lambda_.deployer import Deployer, account, function

pytestmark = pytest.mark.timeout(600)
NETWORK = '[target.lambda.vpc]\nsubnets = ["subnet-0a1b2c3d"]\nsecurity_groups = ["sg-0a1b2c3d"]\n'
AHEAD = "[target.lambda.concurrency]\nprovisioned = 2\n"
LARGE = 51 * 2**20


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setattr(waiting, "_FIRST", 0.01)
    with account(tmp_path, monkeypatch, slow=2) as made:
        yield made


def calls(cloud: Cloud, since: int, *wanted: str) -> list[str]:
    """Calls of some operations, in order."""
    return [one for asked in cloud.faults.asked[since:] if (one := asked.partition(" ")[2]) in wanted]


def test_a_function_is_attached_to_a_network_when_its_role_may_and_let_go_again(
    cloud: Cloud, deployer: Deployer
) -> None:
    deployer.deploy(deployer.manifest(NETWORK))
    wanted = {"SubnetIds": ["subnet-0a1b2c3d"], "SecurityGroupIds": ["sg-0a1b2c3d"]}
    assert function(cloud).versions["1"].settings["VpcConfig"] == wanted
    assert not engine.drift(deployer.world(deployer.manifest(NETWORK))).drifted
    deployer.deploy(deployer.manifest("keep = 0\n"))
    live = function(cloud).versions[function(cloud).aliases[LIVE].number]
    assert live.settings["VpcConfig"] == {"SubnetIds": [], "SecurityGroupIds": []}
    deployer.deploy(deployer.manifest("keep = 0\n"), "two")
    iam, (role,) = cloud.client("iam"), cloud.client("iam").list_roles()["Roles"]
    names = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
    documents = [iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"] for name in names]
    assert "ec2:CreateNetworkInterface" not in str(documents)


def test_a_role_that_may_make_no_interfaces_is_refused_as_by_aws(
    cloud: Cloud, deployer: Deployer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mcp_targets.aws_lambda import render

    monkeypatch.setattr(waiting.Waiting.taken, "__defaults__", (0.0,))
    monkeypatch.setattr(render, "_NETWORK_ACTIONS", ("ec2:DescribeSubnets",))
    with pytest.raises(PackError, match="does not have permissions to call CreateNetworkInterface on EC2"):
        deployer.deploy(deployer.manifest(NETWORK))


def test_a_snapshot_is_waited_for_before_anybody_calls_the_version(cloud: Cloud, deployer: Deployer) -> None:
    states: list[tuple[str, str]] = []

    def look(endpoint: Endpoint, intent: Intent) -> Verification:
        version = max(function(cloud).versions.values(), key=lambda one: int(one.number))
        said = function(cloud).configuration(version)
        states.append((said["State"], said["SnapStart"]["OptimizationStatus"]))
        return Verification()

    deployer.verify = look
    deployer.deploy(deployer.manifest("snap_start = true\n"))
    assert function(cloud).latest.settings["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert states == [("Active", "On")] * 2
    assert not engine.drift(deployer.world(deployer.manifest("snap_start = true\n"))).drifted


def test_a_snapshot_that_fails_leaves_clients_where_they_were(cloud: Cloud, deployer: Deployer) -> None:
    deployer.deploy(deployer.manifest())
    cloud.account.broken_snapshots = "The function's code raised an error while it was loaded."
    with pytest.raises(PackError, match=r"could not make version 2 of .* ready") as stopped:
        deployer.deploy(deployer.manifest("snap_start = true\n"), "two")
    assert "raised an error while it was loaded" in str(stopped.value)
    assert function(cloud).aliases[LIVE].number == "1"
    assert list(function(cloud).versions) == ["1"]
    cloud.account.broken_snapshots = ""
    deployer.deploy(deployer.manifest("snap_start = true\n"), "two")
    assert function(cloud).aliases[LIVE].number == "3"


def test_environments_are_started_ahead_once_the_alias_leads_and_again_when_it_moves(
    cloud: Cloud, deployer: Deployer
) -> None:
    ready: list[int] = []

    def look(endpoint: Endpoint, intent: Intent) -> Verification:
        if LIVE in function(cloud).provisioned:
            ready.append(function(cloud).provisioned[LIVE]["settling"])
        return Verification()

    deployer.verify = look
    deployer.deploy(deployer.manifest(AHEAD))
    order = calls(cloud, 0, "CreateAlias", "PutProvisionedConcurrencyConfig")
    assert order == ["CreateAlias", "PutProvisionedConcurrencyConfig"]
    assert ready == [0]  # it is there when clients' way is looked at
    since = len(cloud.faults.asked)
    deployer.deploy(deployer.manifest(AHEAD), "two")
    order = calls(cloud, since, "UpdateAlias", "PutProvisionedConcurrencyConfig")
    assert order == ["UpdateAlias"]
    # Looked at as candidate, when those of the version before are ready, and behind the alias, when the new ones are.
    assert ready == [0, 0, 0]
    deployer.deploy(deployer.manifest(), "two")
    assert function(cloud).provisioned == {}


def test_what_is_started_ahead_is_asked_for_after_the_steps_of_a_canary(cloud: Cloud, deployer: Deployer) -> None:
    steps = 'strategy = "canary"\n[target.lambda.canary]\nsteps = [10]\nhold = "1ms"\n'
    deployer.deploy(deployer.manifest(steps))
    since = len(cloud.faults.asked)
    deployer.deploy(deployer.manifest(f"{steps}{AHEAD}"), "two")
    order = calls(cloud, since, "UpdateAlias", "PutProvisionedConcurrencyConfig")
    assert order == ["UpdateAlias", "UpdateAlias", "PutProvisionedConcurrencyConfig"]


@dataclass
class Large(Deployer):
    """Deploys a zip that is larger than a request may be."""

    def built(self, word: str) -> Artifact:
        artifact = super().built(word)
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            archive.writestr(zipfile.ZipInfo("mcp_handler.py"), f"SAYS = {word!r}\n")
            archive.writestr(zipfile.ZipInfo("lib/large"), bytes(LARGE))
        (self.folder / "dist" / "lambda" / "function.zip").write_bytes(made.getvalue())
        digest = hashlib.sha256(made.getvalue()).hexdigest()
        facts = {**artifact.facts, "through_s3": True}
        return replace(artifact, digest=f"sha256:{digest}", size=len(made.getvalue()), facts=facts)


def test_a_large_zip_goes_by_the_bucket_and_is_not_left_in_it(cloud: Cloud, deployer: Deployer) -> None:
    store = cloud.client("s3")
    here = {"LocationConstraint": "eu-central-1"}
    for name in ("code-of-tools", "elsewhere"):
        store.create_bucket(Bucket=name, CreateBucketConfiguration=here)
    s3_backends[ACCOUNT]["aws"].buckets["elsewhere"].region_name = "eu-west-1"
    large = Large(deployer.folder)
    with pytest.raises(UserError, match="larger than 50 MB"):
        large.deploy(large.manifest())
    with pytest.raises(PackError, match="The bucket is in this region: eu-west-1"):
        large.deploy(large.manifest('bucket = "elsewhere"\n'))
    assert store.list_objects_v2(Bucket="elsewhere").get("KeyCount") == 0
    since = len(cloud.faults.asked)
    large.deploy(large.manifest('bucket = "code-of-tools"\n'))
    writes = [one for one in cloud.faults.writes(since) if one.startswith(("s3", "lambda Create"))]
    assert [one.split()[1] for one in writes][:3] == ["PUT", "CreateFunction", "DELETE"]
    assert function(cloud).latest.code.size > LARGE
    assert store.list_objects_v2(Bucket="code-of-tools").get("KeyCount") == 0
    world = large.world(large.manifest('bucket = "code-of-tools"\n'))
    assert world.endpoint(Phase.SWITCH, world.observe()) is not None
