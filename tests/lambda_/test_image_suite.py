"""The shared suite once more, with functions that come as images: pushed to a registry, run as they lie there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import ClassVar

import pytest

from mcp_packager.testing import Pack, Project
from tests.containers import bases
from tests.image import registries
from tests.lambda_ import test_suite
from tests.lambda_.fake import Cloud, running
from tests.sampling import whole

MINOR = "{}.{}".format(*sys.version_info)

pytestmark = [
    pytest.mark.real("lambda-emulator", "docker-registry", "base-image", "skopeo", "umoci"),
    pytest.mark.skipif(os.geteuid() != 0, reason="another root of the file system takes root"),
    pytest.mark.skipif(not whole(), reason="the zip's run holds the same promises; images in the whole run"),
    pytest.mark.timeout(900),
]


class TestLambdaByImage(test_suite.TestLambda):
    options = f'package = "image"\n{test_suite.OPTIONS}'
    registry: ClassVar[str]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def aws(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
        with registries.registry(tmp_path_factory.mktemp("registry")) as address:
            bases.push(address, MINOR)
            with running(tmp_path_factory.mktemp("aws"), registry=address) as made:
                cls.cloud, cls.registry = made, address
                yield made

    @pytest.fixture(scope="class")
    @classmethod
    def pack(cls, project: Project, aws: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pack]:
        environ = {
            **aws.environ,
            "MCP_PACK_HOME": str(tmp_path_factory.mktemp("home")),
            "MCP_PACK_REGISTRY_MIRROR": f"docker.io={cls.registry}",
            "DOCKER_CONFIG": str(tmp_path_factory.mktemp("docker-config")),
        }
        yield Pack(project.folder, cls.target, environ)
        project.write("1.0.0")
        for stage in ("default", "second"):
            Pack(project.folder, cls.target, environ).at(stage).run("destroy", "--yes", "--data")
        assert aws.left() == []
