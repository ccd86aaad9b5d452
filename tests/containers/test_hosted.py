"""An image that mcp-pack did not make, as the artifact of a deploy: a plain server of the SDK, nothing of ours."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.image import Image, Registry, parse, push, read_layout
from mcp_packager.image.layering import Layer
from mcp_packager.testing import Pack
from mcp_packager.verify import Era, McpClient
from tests.image.pushing import project

pytestmark = [
    pytest.mark.real("dockerd", "docker-registry", "base-image"),
    pytest.mark.xdist_group("docker"),
    pytest.mark.timeout(400),
]

_SERVER = """\
import os
from mcp.server import MCPServer

server = MCPServer("plain")


@server.tool()
def {tool}(text: str) -> str:
    "Say it louder."
    return text.upper() + os.environ["GREETING"]


server.run("streamable-http", host="0.0.0.0", port=9100, stateless_http=True)
"""


@pytest.fixture
def pack(tmp_path: Path) -> Iterator[Pack]:
    folder = project(tmp_path / "project", options='image_port = 9100\ncommand = ["/srv/server.py"]')
    pack = Pack(folder, "docker", {"MCP_PACK_HOME": str(tmp_path / "home")})
    yield pack
    pack.run("destroy", "--yes", "--data")


def plain(pack: Pack, mirror: str, name: str, tool: str = "shout") -> str:
    """An image with the SDK and a server of somebody's in a registry; its name by digest."""
    pack.run("build")
    (ours,) = read_layout(pack.project / "dist" / "docker" / "image").images
    libraries = next(layer for layer in ours.layers if layer.name == "dependencies")
    code = _layer(pack.project.parent / f"{tool}.tar.gz", _SERVER.format(tool=tool))
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
    return str(push([image], parse(f"{mirror}/{name}:1")).reference.untagged)


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


def _shouted(url: str, era: Era) -> str:
    result: dict[str, Any] = McpClient(url, era=era).call_tool("shout", {"text": "so"})
    return str(result["content"][0]["text"])


def test_is_deployed_and_its_contract_read(pack: Pack, mirror: str) -> None:
    reference = plain(pack, mirror, "team/plain")
    (pack.project / "pushed_tool.py").write_text("raise SystemExit('built')\n")
    assert Registry(parse(reference)).manifest(reference.partition("@")[2]) is not None
    assert pack.run("plan", "--artifact", reference).document["changes_due"] is True
    done = pack.deploy("--artifact", reference)
    assert done["digest"] == reference.partition("@")[2]
    assert [line for line in done["verified"] if "as read, legacy era: 1 tool" in line]
    assert [line for line in done["verified"] if "modern era: 1 tool" in line]
    for era in Era:
        assert _shouted(done["endpoint"]["url"], era) == "SOhello"
    (status,) = pack.run("status").document["deployments"]
    assert status["state"] == "running"
    assert status["contract_hash"] == done["contract_hash"]
    assert len(done["contract_hash"]) == 64
    assert pack.deploy("--artifact", reference)["changed"] is False
    assert pack.run("drift").code == 0


def test_a_call_of_the_manifest_is_made_and_the_old_one_stays_where_it_fails(pack: Pack, mirror: str) -> None:
    first, second = plain(pack, mirror, "team/called"), plain(pack, mirror, "team/called", "whisper")
    manifest = pack.project / "mcp-tool.toml"
    manifest.write_text(
        manifest.read_text()
        + '[[verify.call]]\ntool = "shout"\narguments = { text = "so" }\nexpect = { contains = "SO" }\n'
    )
    url = pack.deploy("--artifact", first)["endpoint"]["url"]
    failed = pack.run("deploy", "--yes", "--allow-breaking", "--artifact", second, expect=(3,))
    assert "as before" in failed.told
    assert _shouted(url, Era.MODERN) == "SOhello"


def test_what_it_cannot_be_told_is_refused(pack: Pack, mirror: str) -> None:
    reference = plain(pack, mirror, "team/refused")
    manifest = pack.project / "mcp-tool.toml"
    manifest.write_text(manifest.read_text() + "[secrets.KEY]\n")
    (problem,) = pack.run("deploy", "--yes", "--artifact", reference, expect=(1,)).document["problems"]
    assert problem["key"] == "secrets"
    assert "did not make" in problem["what"]
