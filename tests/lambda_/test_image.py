"""The function as an image: one manifest, what is wanted in ECR, and its files run as Lambda runs an image."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.errors import WorldError
from mcp_packager.pipeline.artifacts import Built
from mcp_packager.target import Observed, Ref, Resource, Scope
from mcp_packager.testing.aws.runtime_api import serving
from mcp_targets.aws_lambda import image, render
from tests import real_parts
from tests.conformance.suites import HERE, SUITES
from tests.containers import bases
from tests.image import registries
from tests.lambda_.asking import HELLO, legacy, modern, result
from tests.lambda_.bridge import bridged
from tests.lambda_.emulator import started
from tests.lambda_.imaged import NOBODY, TABLE, Unpacked, built, unpacked
from tests.pipeline.projects import MANIFEST, project
from tests.sampling import whole
from tests.serve.process import LEGACY

MINOR = "{}.{}".format(*sys.version_info)
CODE = '''
import os
from pathlib import Path

from mcp_tool import Context, tool


@tool
def shout(text: str) -> str:
    """Say it loud."""
    return text.upper()


@tool
def around() -> dict[str, str]:
    """What the code finds around it."""
    try:
        Path(__file__).with_name("written").touch()
        written = "yes"
    except OSError as error:
        written = type(error).__name__
    return {"user": str(os.getuid()), "folder": os.getcwd(), "file": __file__, "written": written}


@tool
async def steps(ctx: Context) -> str:
    """Tell of a step."""
    await ctx.progress(1, 2, "half")
    return "done"
'''
CONFIG = {"MCP_TOOL_CONFIG_DATA": json.dumps({"schema": 1, "target": "lambda", "serve": {"listen": False}})}

pytestmark = [
    pytest.mark.real("docker-registry", "base-image", "umoci", "lambda-emulator"),
    pytest.mark.skipif(os.geteuid() != 0, reason="another root of the file system takes root"),
    pytest.mark.xdist_group("lambda-image"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that has the base image under its public name, and stands for ECR too."""
    with registries.registry(tmp_path_factory.mktemp("mirror")) as address, pytest.MonkeyPatch.context() as patch:
        bases.push(address, MINOR)
        patch.setenv("MCP_PACK_REGISTRY_MIRROR", address)
        patch.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("docker-config")))
        yield address


@dataclass(frozen=True)
class Made:
    """What was built, the resources that are wanted of it, and its files."""

    built: Built
    wanted: Mapping[str, Resource]
    unpacked: Unpacked

    @property
    def started(self) -> Mapping[str, Any]:
        """The function's ``ImageConfig``."""
        found: Mapping[str, Any] = self.wanted[render.FUNCTION].fields["settings"]["ImageConfig"]
        return found


def make(folder: Path, into: Path) -> Made:
    done, wanted = built(folder, into / "dist")
    return Made(done, wanted, unpacked(done.folder / "image", into / "unpacked"))


@pytest.fixture(scope="module")
def made(address: str, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The tool of this module."""
    into = tmp_path_factory.mktemp("image")
    return make(project(into / "loud", manifest=MANIFEST + TABLE, code=CODE), into)


def test_it_is_one_manifest_and_no_index(made: Made) -> None:
    (top,) = json.loads((made.built.folder / "image" / "index.json").read_bytes())["manifests"]
    assert top["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert top["digest"] == made.built.artifact.digest
    artifact = made.built.artifact
    assert (artifact.kind, artifact.path) == ("image", "image")
    assert artifact.facts["reference"].startswith("123456789012.dkr.ecr.eu-central-1.amazonaws.com/")


def test_what_is_wanted_of_it(made: Made) -> None:
    digest = made.built.artifact.digest
    function, held = made.wanted[render.FUNCTION], made.wanted[image.KIND]
    code = function.fields["code"]
    where = Ref(made.wanted["ecr-repository"].key, "uri")
    assert (code["image"], held.fields["repository"]) == (Ref(held.key, "uri"), where)
    assert held.fields["digest"] == digest
    assert code["sha256"] == digest.removeprefix("sha256:")
    assert function.fields["PackageType"] == "Image"
    assert not {"Runtime", "Handler", "SnapStart"} & set(function.fields["settings"])
    assert held.key in function.needs
    assert held.scope is Scope.SHARED
    assert where.resource in held.needs
    assert made.built.artifact.facts["reference"].partition("/")[2].startswith(f"{where.resource.name}:")


def test_it_is_put_into_its_repository_once(made: Made, address: str, tmp_path: Path) -> None:
    held = made.wanted[image.KIND]
    repository = f"{address}/team/loud"
    held = replace(held, fields={**held.fields, "repository": repository})
    there = {**held.fields, "uri": f"{repository}@{made.built.artifact.digest}"}
    other = replace(held, fields={**held.fields, "digest": f"sha256:{'0' * 64}"})
    environ = dict(os.environ)
    assert image.observed(held, repository, environ) is None
    with pytest.raises(WorldError, match="no longer has"):
        image.push(held, tmp_path, environ)
    assert image.push(held, made.built.folder, environ) == there
    assert image.observed(held, repository, environ) == Observed(image.KIND, held.name, there, Scope.SHARED)
    assert image.observed(held, None, environ) is None
    assert image.push(held, None, environ) == there
    with pytest.raises(WorldError, match="is not the one that is wanted"):
        image.push(other, made.built.folder, environ)


def test_it_answers_in_both_eras_under_the_emulator(made: Made, tmp_path: Path) -> None:
    command = made.unpacked.command(made.started)
    env = {**made.unpacked.env, **CONFIG}
    with started(real_parts.lambda_emulator(), command, tmp_path, tmp_path / "log", env) as function:
        call = modern("tools/call", {"name": "around", "arguments": {}})
        for _ in ("cold", "warm"):
            answer = function.invoke(call)
            assert not answer.failed, (tmp_path / "log").read_text()
            found = result(answer.document)["structuredContent"]
            assert found == {
                "user": str(NOBODY),
                "folder": "/opt/mcp-tool/app",
                "file": "/opt/mcp-tool/app/server.py",
                "written": "PermissionError",
            }
        greeted = result(function.invoke(legacy("initialize", HELLO)).document)
        assert greeted["protocolVersion"] == LEGACY
        called = legacy("tools/call", {"name": "shout", "arguments": {"text": "hello"}})
        assert result(function.invoke(called).document)["content"][0]["text"] == "HELLO"
        logged = [line for line in function.lines() if line.get("tool") == "around" and "msg" in line]
    assert len(logged) == 2


def test_a_start_that_fails_is_told(made: Made, tmp_path: Path) -> None:
    command = made.unpacked.command(made.started)
    broken = {"MCP_TOOL_CONFIG_DATA": json.dumps({"schema": 99})}
    env = {**made.unpacked.env, **broken}
    with started(real_parts.lambda_emulator(), command, tmp_path, tmp_path / "log", env) as function:
        answer = function.invoke(modern("server/discover", {}))
    assert answer.failed
    assert answer.document["errorType"] == "Runtime.StartProblem"
    assert "Traceback" not in (tmp_path / "log").read_text()


@contextlib.contextmanager
def _running(command: Any, env: Mapping[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env=dict(env))
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def test_with_streaming_its_answers_are_sent_as_they_are_made(made: Made) -> None:
    command = made.unpacked.command(made.started, "--streamed")
    with serving() as api, _running(command, {**made.unpacked.env, **CONFIG, "AWS_LAMBDA_RUNTIME_API": api.place}):
        head, body = api.invoke(modern("tools/call", {"name": "steps", "arguments": {}})).streamed()
    assert head["statusCode"] == 200
    assert b"done" in body


@pytest.mark.real("node-modules", "node22")
@pytest.mark.skipif(not whole(), reason="the zip's suites hold the same runtime; of an image in the whole run")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("suite", SUITES)
def test_conformance(address: str, tmp_path: Path, suite: str) -> None:
    assert address
    folder = tmp_path / "fixture"
    source = (HERE / "fixture" / "mcp-tool.toml").read_text()
    subprocess.run(["cp", "-r", HERE / "fixture", folder], check=True)
    (folder / "mcp-tool.toml").write_text(source + TABLE)
    made = make(folder, tmp_path)
    command, env = made.unpacked.command(made.started), {**made.unpacked.env, **CONFIG}
    running = started(real_parts.lambda_emulator(), command, tmp_path, tmp_path / "log", env)
    with running as function, bridged(function) as url:
        results = tmp_path / "results"
        results.mkdir()
        SUITES[suite](url, results)
