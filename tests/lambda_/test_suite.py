"""The shared suite, against the fake of AWS: real zips in AWS's emulator, through function URLs on loopback."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Sequence
from typing import ClassVar

import pytest

from mcp_packager.target import Identity
from mcp_packager.testing import Pack, Project, TargetSuite
from mcp_targets.aws_lambda.place import function_name
from tests.lambda_.fake import ACCOUNT, REGION, Cloud, running

ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), "arm64")
OPTIONS = f'region = "{REGION}"\naccount = "{ACCOUNT}"\narchitecture = "{ARCHITECTURE}"\nkeep = 3\n'

pytestmark = [pytest.mark.real("lambda-emulator", "python3.13"), pytest.mark.timeout(900)]


class TestLambda(TargetSuite):
    target = "lambda"
    options = OPTIONS
    platform_asks = True
    kill_moments = (0.6,)
    cloud: ClassVar[Cloud]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def aws(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
        with running(tmp_path_factory.mktemp("aws")) as made:
            cls.cloud = made
            yield made

    @pytest.fixture(scope="class")
    @classmethod
    def pack(cls, project: Project, aws: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pack]:
        home = tmp_path_factory.mktemp("home")
        pack = Pack(project.folder, cls.target, {"MCP_PACK_HOME": str(home), **aws.environ})
        yield pack
        project.write("1.0.0")
        for stage in ("default", "second"):
            pack.at(stage).run("destroy", "--yes", "--data")
        assert aws.left() == []

    @classmethod
    def strike(cls, pack: Pack) -> None:
        aws, name = cls.cloud.client("lambda"), cls.name(pack)
        policy = json.loads(aws.get_policy(FunctionName=name, Qualifier="live")["Policy"])
        for statement in policy["Statement"]:
            aws.remove_permission(FunctionName=name, Qualifier="live", StatementId=statement["Sid"])

    @classmethod
    def leftovers(cls, pack: Pack) -> Sequence[str]:
        # What belongs to no stage that can be told from its name is held when both are gone.
        return [one for one in cls.cloud.left() if f"/{pack.stage}/" in one or cls.name(pack) in one]

    @classmethod
    def name(cls, pack: Pack) -> str:
        return function_name(Identity("suite-tool", "suite-tool", pack.stage))
