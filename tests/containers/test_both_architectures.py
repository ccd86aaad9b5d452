"""One image for two processors, built on one of them: read by others, and run on both."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcp_packager.image import read_layout
from mcp_packager.testing import Pack
from tests import real_parts
from tests.containers import bases
from tests.containers.asking import daemon
from tests.containers.conftest import MINOR
from tests.containers.podman import serving
from tests.image import registries
from tests.image.pushing import Pushed, project, push

pytestmark = [
    pytest.mark.real("dockerd", "docker-registry", "base-image", "arm64-image", "skopeo", "umoci"),
    pytest.mark.xdist_group("docker"),
    pytest.mark.timeout(300),
]

_MACHINES = {"amd64": 62, "arm64": 183}
"""``e_machine`` of an ELF file: EM_X86_64 and EM_AARCH64 of the System V ABI."""

_START_SECONDS = 120.0
"""How long the server may take to start where each of its instructions is translated."""


@dataclass(frozen=True)
class Both:
    """A tool with compiled wheels, pushed for both processors."""

    address: str
    pack: Pack
    pushed: Pushed

    @property
    def layout(self) -> Path:
        return Path(self.pushed.document["folder"]) / "image"

    @property
    def source(self) -> str:
        return f"docker://{self.pushed.reference}"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    place = tmp_path_factory.mktemp("both")
    with registries.registry(place / "registry") as address:
        bases.push_both(address, MINOR)
        folder = project(
            place / "project",
            options='architectures = ["amd64", "arm64"]',
            dependencies=["numpy"],
            code="import numpy\n",
        )
        pack = Pack(folder, "docker", {"MCP_PACK_REGISTRY_MIRROR": address, "MCP_PACK_HOME": str(place / "home")})
        yield Both(address, pack, push(pack, f"{address}/team/both"))


def test_the_lock_holds_the_wheels_of_both(both: Both) -> None:
    lock = json.loads((both.pack.project / "mcp-tool.lock").read_text())
    text = json.dumps(lock)
    assert "x86_64" in text
    assert "aarch64" in text


def test_every_compiled_file_is_for_its_own_processor(both: Both) -> None:
    images = read_layout(both.layout, environ=both.pack.environ).images
    assert [one.architecture for one in images] == ["amd64", "arm64"]
    for one in images:
        machines = [machine for layer in one.layers for machine in _machines(layer.path)]
        assert len(machines) > 10
        assert set(machines) == {_MACHINES[one.architecture]}
    runtimes = {layer.digest for one in images for layer in one.layers if layer.name == "runtime"}
    assert len(runtimes) == 1, "what is the same for both is one layer"


def _machines(layer: Path | None) -> Iterator[int]:
    assert layer is not None
    with tarfile.open(layer) as inside:
        for member in inside:
            file = inside.extractfile(member)
            head = file.read(20) if file else b""
            if head.startswith(b"\x7fELF"):
                (machine,) = struct.unpack_from("<H", head, 18)
                yield machine


def test_others_read_both(both: Both, tmp_path: Path) -> None:
    raw = json.loads(_skopeo("inspect", "--raw", both.source))
    assert [item["platform"]["architecture"] for item in raw["manifests"]] == ["amd64", "arm64"]
    for name in ("amd64", "arm64"):
        found = json.loads(_skopeo(f"--override-arch={name}", "inspect", both.source))
        assert found["Architecture"] == name
        assert found["Labels"]["io.modelcontextprotocol.server.name"] == "pushed-tool"
    _skopeo("copy", "--all", "--src-tls-verify=false", both.source, f"oci:{tmp_path}/copied:all")
    assert (
        json.loads((tmp_path / "copied" / "index.json").read_bytes())["manifests"][0]["digest"]
        == (both.pushed.artifact["digest"])
    )


def test_docker_pulls_and_runs_its_own(both: Both) -> None:
    api = daemon().api
    api.pull(both.pushed.reference)
    container = api.create_container(both.pushed.reference, host_config=api.create_host_config(publish_all_ports=True))
    try:
        api.start(container["Id"])
        found = api.inspect_container(container["Id"])
        port = found["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostPort"]
        assert _ready(f"http://127.0.0.1:{port}/readyz", 60)
        assert api.inspect_image(both.pushed.reference)["Architecture"] == "amd64"
    finally:
        api.remove_container(container["Id"], force=True)
        api.remove_image(both.pushed.reference, force=True)


def test_docker_gets_its_own_by_a_deploy(both: Both) -> None:
    done = both.pack.deploy()
    try:
        assert done["digest"] == both.pushed.artifact["digest"]
        assert _ready(done["endpoint"]["url"].removesuffix("/mcp") + "/readyz", 10)
    finally:
        both.pack.run("destroy", "--yes", "--data")


@pytest.mark.real("podman", "podman-compose")
def test_podman_pulls_and_runs_its_own(both: Both) -> None:
    with serving(both.address) as podman:
        program = str(podman.place / "bin" / "podman")
        podman.run(program, "pull", "--quiet", "--tls-verify=false", both.pushed.reference)
        ask = "import numpy, mcp_tool, platform; print(platform.machine())"
        command = ("run", "--rm", "--network=none", "--entrypoint", "python3", both.pushed.reference, "-c", ask)
        assert podman.run(program, *command).strip() == "x86_64"


@pytest.mark.real("qemu-aarch64")
def test_the_other_one_runs_where_its_processor_is_imitated(both: Both, tmp_path: Path) -> None:
    _skopeo("--override-arch=arm64", "copy", "--src-tls-verify=false", both.source, f"oci:{tmp_path}/one:it")
    subprocess.run(
        [real_parts.PARTS["umoci"](), "unpack", "--image", f"{tmp_path}/one:it", tmp_path / "unpacked"],
        check=True,
        capture_output=True,
    )
    with _imitated(tmp_path / "unpacked") as port:
        assert _ready(f"http://127.0.0.1:{port}/readyz", _START_SECONDS)


@contextmanager
def _imitated(unpacked: Path) -> Iterator[int]:
    """The server of an unpacked image, as its own configuration starts it, on a port of this machine's."""
    root = unpacked / "rootfs"
    emulator = real_parts.PARTS["qemu-aarch64"]()
    shutil.copy2(emulator, root / emulator.name)
    run = json.loads((unpacked / "config.json").read_text())["process"]
    port = registries.free_port()
    words = [str(port) if word == "8000" else word for word in run["args"]]
    program = next(place for place in ("/usr/bin/python3", "/usr/local/bin/python3") if (root / place[1:]).exists())
    environment = dict(line.split("=", 1) for line in run["env"])
    user = run["user"]
    # qemu starts the program by itself: no file format need be known to the kernel, and nothing is mounted.
    command = [
        _program("chroot"),
        f"--userspec={user['uid']}:{user['gid']}",
        root,
        f"/{emulator.name}",
        program,
        *words[1:],
    ]
    with (unpacked / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield port
    finally:
        server.kill()
        server.wait(20)
        print((unpacked / "log").read_text()[-2000:])


def _program(name: str) -> str:
    """A program of whoever administers the machine."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert found is not None
    return found


def _ready(url: str, seconds: float) -> bool:
    """Whether a server says within that time that it is ready."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                if answer.status == 200:
                    return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _skopeo(*arguments: str) -> bytes:
    tls = ["--tls-verify=false"] if "inspect" in arguments else []
    words = [*arguments[:-1], *tls, arguments[-1]] if tls else list(arguments)
    done = subprocess.run([real_parts.PARTS["skopeo"](), *words], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
