"""The way to a cluster of EKS, made of AWS credentials alone. AWS is moto's; no cluster is asked."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from moto import mock_aws

from mcp_packager.errors import UserError
from mcp_packager.manifest import load
from mcp_packager.target import WorldInput, identity_of
from mcp_targets._aws import eks
from mcp_targets._aws.session import Aws
from mcp_targets.eks import target
from mcp_targets.eks.options import Options
from mcp_targets.eks.world import reaching
from tests.targets.aws.conftest import ACCOUNT
from tests.targets.aws.deployments import written


def made(aws: Aws) -> None:
    aws.client("eks").create_cluster(
        name="main",
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
        resourcesVpcConfig={"subnetIds": ["subnet-1"], "securityGroupIds": []},
    )


def test_address_certificate_and_token_are_all_that_it_takes(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    made(aws)
    tokens = iter(["first", "second"])
    monkeypatch.setattr(eks.Tokens, "current", lambda _: next(tokens))
    configuration = reaching(aws, "main", "main").configure()
    described = eks.describe(aws, "main")
    assert configuration.host == described.endpoint
    assert configuration.verify_ssl
    assert Path(configuration.ssl_ca_cert).read_bytes() == base64.b64decode(described.authority)
    assert configuration.api_key["BearerToken"] == "Bearer first"
    # As each request does.
    assert configuration.auth_settings()["BearerToken"]["value"] == "Bearer second"


def test_making_a_world_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_targets._aws.session.plain_client", lambda *_: pytest.fail("AWS was asked"))
    manifest = written(tmp_path, more='[[permissions.aws]]\nactions = ["s3:*"]\nresources = ["*"]')
    with mock_aws():
        world = target.world(WorldInput(identity_of(manifest), manifest.targets["eks"], manifest))
    assert {"ecr-repository", "iam-role", "deployment"} <= {kind.name for kind in world.kinds}
    assert len({kind.name for kind in world.kinds}) == len(world.kinds)


def test_a_world_without_a_place_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "mcp-tool.toml").write_text('[tool]\nname = "notes"\nentrypoint = "notes"\n')
    manifest = load(tmp_path, options={"eks": Options})
    with pytest.raises(UserError, match="does not know which cluster"):
        target.world(WorldInput(identity_of(manifest), Options(), manifest))
