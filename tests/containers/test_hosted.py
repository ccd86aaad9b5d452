"""An image that mcp-pack did not make, as the artifact of a deploy: a plain server of the SDK, nothing of ours."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.image import Image, Registry, parse, push, read_layout
from mcp_packager.image.layering import Layer
from mcp_packager.testing import Pack, greeting
from mcp_packager.verify import Era, McpClient
from tests.containers.asking import daemon, left_of
from tests.image.pushing import project
from tests.targets.loading import client

pytestmark = [
    pytest.mark.real("dockerd", "docker-registry", "base-image"),
    pytest.mark.xdist_group("docker"),
    pytest.mark.timeout(400),
]

_SERVER = """\
import os
import socket
from mcp.server import MCPServer

server = MCPServer("plain")


@server.tool()
def greet(name: str) -> str:
    "Greet somebody."
    return f"hello, {{name}}! This is {version}."


@server.tool()
def {tool}() -> dict[str, str]:
    "What this server was told, and who it is."
    host, _, port = os.environ.get("STORE", ":").partition(":")
    kept = ""
    if host:
        with socket.create_connection((host, int(port)), 5) as store:
            store.sendall(b"INCR number\\r\\n")
            kept = store.recv(100).decode().strip()
    file = os.environ.get("CERTIFICATE")
    return {{
        "greeting": os.environ["GREETING"],
        "key": os.environ.get("KEY", ""),
        "certificate": open(file).read() if file else "",
        "user": str(os.getuid()),
        "kept": kept,
    }}


server.run("streamable-http", host="0.0.0.0", port=9100, stateless_http=True)
"""
_OPTIONS = 'image_port = 9100\nkeep = 2\ncommand = ["/srv/server.py"]'
_TOOL = "pushed-tool"
LEAST = 500
"""Calls that are waited for while the server changes, and not for ever."""


@pytest.fixture(scope="module")
def images(mirror: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Images with the SDK and a server of somebody's in a registry; their names by digest."""
    folder = tmp_path_factory.mktemp("images")
    pack = Pack(project(folder / "project"), "docker", {"MCP_PACK_HOME": str(folder / "home")})
    pack.run("build")
    (ours,) = read_layout(pack.project / "dist" / "docker" / "image").images
    return {
        "first": _pushed(ours, folder, f"{mirror}/team/first:1", _SERVER.format(tool="tell", version="1.0.0")),
        "second": _pushed(ours, folder, f"{mirror}/team/second:1", _SERVER.format(tool="tell", version="2.0.0")),
        "other": _pushed(ours, folder, f"{mirror}/team/other:1", _SERVER.format(tool="whisper", version="3.0.0")),
    }


def _pushed(ours: Image, folder: Path, name: str, server: str) -> str:
    libraries = next(layer for layer in ours.layers if layer.name == "dependencies")
    code = _layer(folder / f"{_digest(server.encode())[7:]}.tar.gz", server)
    layers = (*ours.base.layers, libraries, code)
    config = {
        "architecture": ours.architecture,
        "os": "linux",
        "config": {
            "Entrypoint": ["python3", "-S"],
            "Cmd": ["/srv/other.py"],
            "Env": ["PYTHONPATH=/opt/mcp-tool/lib", "GREETING=?"],
            "User": "1000:1000",
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }
    text = json.dumps(config).encode()
    manifest = json.loads(ours.manifest)
    manifest["config"] |= {"digest": _digest(text), "size": len(text)}
    manifest["layers"] = [
        {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size} for layer in layers
    ]
    del manifest["annotations"]
    image = Image(ours.architecture, ours.base, (libraries, code), text, json.dumps(manifest).encode())
    return str(push([image], parse(name)).reference.untagged)


@pytest.fixture
def pack(tmp_path: Path) -> Iterator[Pack]:
    pack = Pack(_project(tmp_path), "docker", {"MCP_PACK_HOME": str(tmp_path / "home")})
    (pack.project / "pushed_tool.py").write_text("raise SystemExit('built')\n")
    yield pack
    _project(tmp_path)
    pack.run("destroy", "--yes", "--data")
    assert left_of(_TOOL) == set()


def _project(folder: Path, options: str = "") -> Path:
    return project(folder / "project", options=f"{_OPTIONS}\n{options}")


def _layer(file: Path, server: str) -> Layer:
    inside = io.BytesIO()
    with tarfile.open(fileobj=inside, mode="w") as archive:
        info = tarfile.TarInfo("srv/server.py")
        info.size = len(server)
        archive.addfile(info, io.BytesIO(server.encode()))
    file.write_bytes(gzip.compress(inside.getvalue(), mtime=0))
    packed = file.read_bytes()
    return Layer("code", _digest(packed), len(packed), _digest(inside.getvalue()), file)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _told(url: str, era: Era = Era.MODERN) -> dict[str, Any]:
    result: dict[str, Any] = McpClient(url, era=era).call_tool("tell", {})
    told: dict[str, Any] = json.loads(result["content"][0]["text"])
    return told


def _ours() -> dict[str, dict[str, Any]]:
    """What the daemon knows of the containers that run, by their kind."""
    api = daemon().api
    found = api.containers(filters={"label": [f"mcp-pack/tool={_TOOL}"]})
    return {each["Labels"]["mcp-pack/kind"]: api.inspect_container(each["Id"]) for each in found}


def test_is_deployed_and_its_contract_read(pack: Pack, images: Mapping[str, str]) -> None:
    reference = images["first"]
    assert Registry(parse(reference)).manifest(reference.partition("@")[2]) is not None
    assert pack.run("plan", "--artifact", reference).document["changes_due"] is True
    done = pack.deploy("--artifact", reference)
    assert done["digest"] == reference.partition("@")[2]
    assert [line for line in done["verified"] if "as read, legacy era: 2 tools" in line]
    assert [line for line in done["verified"] if "modern era: 2 tools" in line]
    for era in Era:
        assert _told(done["endpoint"]["url"], era)["greeting"] == "hello"
    (status,) = pack.run("status").document["deployments"]
    assert status["state"] == "running"
    assert status["contract_hash"] == done["contract_hash"]
    assert len(done["contract_hash"]) == 64
    assert pack.deploy("--artifact", reference)["changed"] is False
    assert pack.run("drift").code == 0
    ours = _ours()
    assert ours.keys() == {"container", "front"}
    host = ours["container"]["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], None)
    assert (ours["container"]["Config"]["User"], ours["front"]["Config"]["User"]) == ("1000:1000", "65532:65532")


def test_a_redeploy_and_a_rollback_fail_no_call(
    pack: Pack, images: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    url = pack.deploy("--artifact", images["first"])["endpoint"]["url"]
    with client() as calls, calls.load(url, least=LEAST, seconds=100) as seen:
        assert pack.deploy("--artifact", images["second"])["endpoint"]["url"] == url
        pack.run("rollback", "--yes")
    with capsys.disabled():
        print(f"\nsomebody's image, redeploy and rollback: {seen.count} calls, {len(seen.failed)} failed")
    assert seen.failed == []
    assert {answer[-6:] for answer in seen.answers} == {"1.0.0.", "2.0.0."}
    assert greeting(url).endswith("1.0.0.")


def test_gets_secrets_services_and_the_ways_out_that_it_needs(
    pack: Pack, images: Mapping[str, str], mirror: str, tmp_path: Path
) -> None:
    secret, certificate = "a-key-of-somebody", "a certificate"
    (tmp_path / "certificate").write_text(certificate)
    told = Pack(pack.project, pack.target, {**pack.environ, "KEY": secret})
    _project(tmp_path, 'image_writable = true\nimage_user = "4321"\nimage_capabilities = ["CHOWN"]')
    manifest = pack.project / "mcp-tool.toml"
    manifest.write_text(
        f"""{manifest.read_text()}
[secrets.KEY]

[secrets.CERTIFICATE]
as = "file"
from = "file:{tmp_path / "certificate"}"

[services.store]
image = "{mirror}/library/redis:7"
ports = [6379]
volume = {{ path = "/data" }}
provides = {{ STORE = "{{host}}:{{port}}" }}
"""
    )
    plan = told.run("plan", "--artifact", images["first"])
    (container,) = (each for each in plan.document["plans"][0]["plan"]["changes"] if each["kind"] == "container")
    assert container["effect"] == "runs as the user 4321; may write to its own files; keeps CHOWN"
    done = told.deploy("--artifact", images["first"])
    answer = {"greeting": "hello", "key": secret, "certificate": certificate, "user": "4321", "kept": ":1"}
    assert _told(done["endpoint"]["url"]) == answer
    ours = _ours()
    assert ours.keys() == {"container", "front", "service"}
    host = ours["container"]["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["CapAdd"]) == (False, ["ALL"], ["CHOWN"])
    assert told.deploy("--artifact", images["first"])["changed"] is False
    for said in (plan, told.run("status"), told.run("history"), told.run("drift")):
        assert secret not in said.told
    assert secret not in json.dumps(
        [volume["Labels"] for volume in daemon().volumes({"label": [f"mcp-pack/tool={_TOOL}"]})]
    )


def test_a_call_of_the_manifest_is_made_and_the_old_one_stays_where_it_fails(
    pack: Pack, images: Mapping[str, str]
) -> None:
    manifest = pack.project / "mcp-tool.toml"
    manifest.write_text(
        manifest.read_text() + '[[verify.call]]\ntool = "tell"\narguments = {}\nexpect = { contains = "hello" }\n'
    )
    url = pack.deploy("--artifact", images["first"])["endpoint"]["url"]
    failed = pack.run("deploy", "--yes", "--allow-breaking", "--artifact", images["other"], expect=(3,))
    assert "as before" in failed.told
    assert _told(url)["greeting"] == "hello"


def test_what_it_cannot_be_told_is_refused(pack: Pack, images: Mapping[str, str]) -> None:
    manifest = pack.project / "mcp-tool.toml"
    manifest.write_text(manifest.read_text() + '[serve.audit]\nto = "stderr"\n[serve.metrics]\nport = 9464\n')
    problems = pack.run("deploy", "--yes", "--artifact", images["first"], expect=(1,)).document["problems"]
    assert [problem["key"] for problem in problems] == ["serve.metrics", "serve.audit"]
    assert all("did not make" in problem["what"] for problem in problems)
