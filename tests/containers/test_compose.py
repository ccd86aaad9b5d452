"""``compose.yaml`` and ``Dockerfile``: as hardened as the deploy, read by others, and really used."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.verify import McpClient, texts
from tests import real_parts
from tests.containers.asking import daemon
from tests.containers.conftest import MINOR
from tests.containers.emitted import DESCRIPTION, WORD, Emitted, build
from tests.image.registries import free_port

pytestmark = [pytest.mark.real("dockerd", "docker-registry", "base-image"), pytest.mark.xdist_group("docker")]

yaml: Any = importlib.import_module("yaml")  # it has no types of its own
TOKEN = "value-of-the-token"


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory, mirror: str) -> Emitted:
    return build(tmp_path_factory.mktemp("compose") / "counter", mirror, MINOR, options=f"port = {free_port()}")


@pytest.fixture(scope="module")
def document(emitted: Emitted) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(emitted.text("compose.yaml"))
    return found


def judged(part: str, *arguments: object) -> str:
    done = subprocess.run([real_parts.PARTS[part](), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tool_is_as_hardened_as_a_deploy_makes_it(document: dict[str, Any], emitted: Emitted) -> None:
    tool = document["services"]["counter"]
    assert tool["user"] == "65532:65532"
    assert tool["init"] is True
    assert tool["read_only"] is True
    assert tool["cap_drop"] == ["ALL"]
    assert tool["security_opt"] == ["no-new-privileges:true"]
    assert tool["tmpfs"] == ["/tmp:rw,noexec,nosuid,size=67108864"]
    assert tool["pids_limit"] == 256
    assert tool["mem_limit"] == tool["memswap_limit"] == 160 * 1024 * 1024
    assert tool["cpus"] == "0.5"
    (port,) = tool["ports"]
    assert re.fullmatch(r"127\.0\.0\.1:\d+:8000", port)
    assert tool["healthcheck"]["test"][0] == "CMD"
    assert tool["restart"] == "unless-stopped"
    assert tool["stop_grace_period"] == "30s"
    assert tool["logging"] == {"driver": "json-file", "options": {"max-size": "10485760", "max-file": "3"}}
    assert tool["volumes"] == ["./config.json:/run/mcp-tool/config/config.json:ro,z"]
    assert tool["image"] == emitted.reference
    assert not tool.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices", "userns_mode"}


def test_the_service_comes_first_and_is_nobody_elses(document: dict[str, Any]) -> None:
    store = document["services"]["store"]
    assert document["services"]["counter"]["depends_on"] == {"store": {"condition": "service_healthy"}}
    assert store["healthcheck"]["test"] == ["CMD", "redis-cli", "ping"]
    assert store["security_opt"] == ["no-new-privileges:true"]
    assert store["mem_limit"] == 96 * 1024 * 1024
    assert "ports" not in store
    assert store["volumes"] == ["store:/data"]
    assert document["volumes"] == {"store": {"name": "counter_store"}}
    assert document["networks"] == {"default": {"driver": "bridge"}}


def test_it_keeps_to_what_old_and_other_composes_read(emitted: Emitted, document: dict[str, Any]) -> None:
    assert document.keys() == {"services", "networks", "volumes"}
    assert "start_interval" not in emitted.text("compose.yaml")


def test_secrets_stay_out_and_are_asked_for_by_name(emitted: Emitted, document: dict[str, Any]) -> None:
    assert document["services"]["counter"]["environment"] == {
        "OTHER": "${OTHER:-}",
        "STORE_WORD": "${STORE_WORD:-}",
        "TOKEN": "${TOKEN:?set it in .env}",
    }
    assert document["services"]["store"]["environment"]["STORE_WORD"] == "${STORE_WORD:-}"
    assert emitted.text(".env.example") == "OTHER=\nSTORE_WORD=\nTOKEN=\n"
    names = ("OTHER", "STORE_WORD", "TOKEN")
    assert json.loads(emitted.text("config.json"))["secrets"] == {name: {"env": name} for name in names}


def test_the_same_project_gives_the_same_files(emitted: Emitted) -> None:
    names = ("compose.yaml", "config.json", "Dockerfile", ".dockerignore", ".env.example", "stdio.sh")
    before = {name: emitted.text(name) for name in names}
    emitted.pack.run("build")
    assert {name: emitted.text(name) for name in names} == before


@pytest.mark.real("check-jsonschema")
def test_compose_is_what_its_schema_says(emitted: Emitted) -> None:
    judged("check-jsonschema", "--builtin-schema", "vendor.compose-spec", emitted.folder / "compose.yaml")


@pytest.mark.real("hadolint")
def test_hadolint_finds_nothing(emitted: Emitted) -> None:
    judged("hadolint", "--failure-threshold", "style", emitted.folder / "Dockerfile")
    # ADD unpacks a layer, which is local and named by its digest; COPY would not.
    assert set(re.findall(r"hadolint ignore=(\S+)", emitted.text("Dockerfile"))) == {"DL3020"}


@pytest.mark.real("checkov")
def test_checkov_finds_nothing(emitted: Emitted) -> None:
    told = judged(
        *("checkov", "--skip-download", "--framework", "dockerfile", "--compact", "--output", "json"),
        *("--file", emitted.folder / "Dockerfile"),
    )
    found = json.loads(told)["results"]
    assert found["failed_checks"] == found["parsing_errors"] == []
    assert len(found["passed_checks"]) > 20
    # As above: the one check that is left out, and it says why.
    (left_out,) = {(each["check_id"], each["check_result"]["suppress_comment"]) for each in found["skipped_checks"]}
    assert left_out == ("CKV_DOCKER_4", " ADD unpacks the layers, which are local and named by digest; COPY would not")


def test_no_shell_reads_the_dockerfile_and_nothing_runs(emitted: Emitted) -> None:
    lines = [line for line in emitted.text("Dockerfile").splitlines() if not line.startswith("#")]
    assert {line.split()[0] for line in lines} == {
        *("FROM", "ADD", "ENV", "LABEL", "EXPOSE", "WORKDIR", "USER", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD")
    }
    for line in lines:
        if line.startswith(("ADD", "ENTRYPOINT", "CMD")):
            assert isinstance(json.loads(line.split(maxsplit=1)[1]), list)
    assert re.search(r"^FROM \S+@sha256:[0-9a-f]{64}$", lines[0])


def _compose(emitted: Emitted, *arguments: str, expect: int = 0, **environ: str) -> str:
    done = subprocess.run(
        [real_parts.PARTS["docker-compose"](), "-p", "counter", *arguments],
        cwd=emitted.folder,
        env={**os.environ, "DOCKER_BUILDKIT": "0", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def up(emitted: Emitted) -> Iterator[str]:
    """What ``docker-compose up`` serves; its address."""
    _compose(emitted, "up", "-d", TOKEN=TOKEN)
    yield "http://" + yaml.safe_load(emitted.text("compose.yaml"))["services"]["counter"]["ports"][0][:-5] + "/mcp"
    _compose(emitted, "down", "--volumes", TOKEN=TOKEN)
    filters = {"label": "com.docker.compose.project=counter"}
    api = daemon().api
    assert api.containers(all=True, filters=filters) == []
    assert not api.volumes(filters=filters)["Volumes"]
    assert api.networks(filters=filters) == []


def _ready(url: str) -> McpClient:
    import urllib.error
    import urllib.request

    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url.replace("/mcp", "/readyz"), timeout=5):
                return McpClient(url)
        except (OSError, urllib.error.URLError):
            assert time.monotonic() < deadline, "it is not ready"
            time.sleep(0.1)


@pytest.mark.real("docker-compose")
def test_a_secret_that_is_missing_is_asked_for(emitted: Emitted) -> None:
    assert "set it in .env" in _compose(emitted, "config", expect=1)


@pytest.mark.real("docker-compose")
def test_compose_up_answers_calls(up: str) -> None:
    client = _ready(up)
    before = int(texts(client.call_tool("count", {"by": 0})))
    assert int(texts(client.call_tool("count", {"by": 2}))) == before + 2
    assert texts(client.call_tool("told", {})) == f"a$b {TOKEN}"


@pytest.mark.real("docker-compose")
def test_the_daemon_holds_it_to_every_line(up: str) -> None:
    api = daemon().api
    _ready(up)
    found = api.inspect_container("counter_counter_1")
    host = found["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["PidsLimit"]) == (500_000_000, 160 << 20, 256)
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Init"]) == (True, ["ALL"], True)
    assert host["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10485760"}
    assert found["Config"]["Healthcheck"]["Test"][1] == "python3"
    look = api.exec_create("counter_counter_1", found["Config"]["Healthcheck"]["Test"][1:])
    api.exec_start(look["Id"])
    assert api.exec_inspect(look["Id"])["ExitCode"] == 0
    assert f"WORD={WORD}" in api.inspect_container("counter_store_1")["Config"]["Env"]


def _files(api: Any, image: str) -> dict[str, tuple[int, int, int, bytes]]:
    """Mode, owner, group and content of every file of the tool in an image."""
    made = api.create_container(image, command=["none"])["Id"]
    try:
        chunks, _ = api.get_archive(made, "/opt/mcp-tool")
        with tarfile.open(fileobj=BytesIO(b"".join(chunks))) as archive:
            return {
                each.name: (each.mode, each.uid, each.gid, archive.extractfile(each).read())  # type: ignore[union-attr]  # a file has one
                for each in archive
                if each.isfile()
            }
    finally:
        api.remove_container(made)


@pytest.mark.real("docker-compose")
def test_another_builder_makes_the_same_image(emitted: Emitted, up: str) -> None:
    """Compose built the Dockerfile; the daemon is now given ours beside it."""
    from mcp_packager.image import docker_archive

    _ready(up)
    api = daemon().api
    for line in api.load_image(docker_archive(emitted.folder / "image", ["mcp-pack/ours:1"])):
        assert "error" not in line
    theirs, ours = (api.inspect_image(name)["Config"] for name in (emitted.reference, "mcp-pack/ours:1"))
    for key in ("Entrypoint", "Cmd", "User", "WorkingDir", "StopSignal", "ExposedPorts", "Labels"):
        assert theirs[key] == ours[key], key
    assert sorted(theirs["Env"]) == sorted(ours["Env"])
    assert ours["Labels"]["org.opencontainers.image.description"] == DESCRIPTION
    assert _files(api, emitted.reference) == _files(api, "mcp-pack/ours:1")


def test_a_value_that_could_be_a_line_of_its_own_is_refused() -> None:
    from mcp_packager.errors import UserError
    from mcp_targets.docker import dockerfile

    for text in ("a\nRUN evil", "a\rb", "a\u2028b", "a\x00"):
        with pytest.raises(UserError, match="cannot stand in a Dockerfile"):
            dockerfile._quoted(text)


def test_texts_of_other_lines_stay_texts(tmp_path: Path, mirror: str) -> None:
    made = build(tmp_path / "odd", mirror, MINOR, name="odd", options='host = "::1"\nrestart = "no"')
    found = yaml.safe_load(made.text("compose.yaml"))["services"]["odd"]
    assert found["restart"] == "no"
    assert found["ports"] == ["[::1]:8000:8000"]
