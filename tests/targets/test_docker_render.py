"""What `docker` wants of its daemon, from a manifest alone: no daemon is asked."""

from __future__ import annotations

from pathlib import Path

from mcp_packager.engine.diff import diff
from mcp_packager.engine.draw import draw
from mcp_packager.manifest import load
from mcp_packager.target import (
    PROBE,
    STATE,
    Artifact,
    DesiredInput,
    Exposure,
    Key,
    Lifetime,
    Observed,
    Phase,
    Ref,
    Resource,
    Scope,
    base_config,
    identity_of,
)
from mcp_targets.docker.options import Options
from mcp_targets.docker.render import CANDIDATE, FRONT, NETWORK, ROUTE, SERVER, address, inside, resources
from mcp_targets.docker.world import KINDS

MANIFEST = """
[tool]
name = "shop"
entrypoint = "shop"

[secrets.KEY]

[services.store]
image = "redis:7"
ports = [6379]
volume = { path = "/data" }
secrets = { PASSWORD = "KEY" }
provides = { STORE = "{host}:{port}" }

[services.mail]
external = "localhost:25"
provides = { MAIL = "{host}:{port}" }

[serve.auth]
mode = "bearer"
keys = ["KEY"]

[serve.metrics]
port = 9464

[serve.audit]
to = "file"

[resources]
memory = "256Mi"

[target.docker]
port = 8123
"""


def desired(folder: Path, more: str = "") -> dict[Key, Resource]:
    (folder / "mcp-tool.toml").write_text(MANIFEST + more)
    manifest = load(folder, options={"docker": Options})
    facts = {"image": "sha256:" + "b" * 64, "reference": "mcp-pack/shop:1"}
    artifact = Artifact("docker", "image", "shop", "0.1.0", "sha256:" + "a" * 64, 1, "c" * 64, facts=facts)
    config = base_config(manifest, "docker", Exposure.LOOPBACK)
    options = manifest.targets["docker"]
    request = DesiredInput(manifest, options, identity_of(manifest), artifact, config)
    assert isinstance(options, Options)
    return {resource.key: resource for resource in resources(request, options)}


def test_the_same_manifest_wants_the_same(tmp_path: Path) -> None:
    assert desired(tmp_path) == desired(tmp_path)


def test_services_come_before_the_tool_and_their_data_stays(tmp_path: Path) -> None:
    wanted = desired(tmp_path)
    (tool,) = (resource for key, resource in wanted.items() if key.kind == "container")
    assert Key("service", "store") in tool.needs
    assert Key("service", "mail") not in wanted
    assert wanted[Key("volume", "store")].scope is Scope.DATA
    assert NETWORK in wanted[Key("service", "store")].needs
    assert wanted[Key("service", "store")].fields["secrets"] == {"PASSWORD": Ref(Key("secret", "KEY"), "volume")}


def test_the_new_container_runs_before_clients_move(tmp_path: Path) -> None:
    wanted = desired(tmp_path)
    (tool,) = (resource for key, resource in wanted.items() if key.kind == "container")
    assert (tool.phase, wanted[ROUTE].phase) == (Phase.CANDIDATE, Phase.SWITCH)
    assert wanted[ROUTE].fields["upstream"] == address(tool.name)
    assert {FRONT, tool.key} <= wanted[ROUTE].needs
    assert (wanted[FRONT].fields["host"], wanted[FRONT].fields["port"]) == ("127.0.0.1", 8123)
    assert tool.fields["memory"] == 256 * 1024 * 1024


def test_without_a_front_the_plan_says_what_a_redeploy_costs(tmp_path: Path) -> None:
    wanted = desired(tmp_path, "front = false")
    assert not {FRONT, ROUTE} & wanted.keys()
    assert (wanted[CANDIDATE].phase, wanted[CANDIDATE].lifetime) == (Phase.CANDIDATE, Lifetime.TRANSIENT)
    assert (wanted[SERVER].phase, wanted[SERVER].fields["port"]) == (Phase.SWITCH, 8123)
    there = {key: Observed(*key, {**resource.fields, "pids": 16}) for key, resource in wanted.items()}
    plan = diff(list(wanted.values()), there, KINDS)
    assert "~ update  server server        switch; closes the port for about 2 s, longer while" in draw(plan)


def test_the_server_finds_everything_by_its_place_inside(tmp_path: Path) -> None:
    wanted = desired(tmp_path)
    (config,) = (resource.fields["document"] for key, resource in wanted.items() if key.kind == "config")
    assert (config["env"]["STORE"], config["env"]["MAIL"]) == ("store:6379", "host.docker.internal:25")
    assert config["serve"]["probe"]["key"] == {"file": "/run/mcp-tool/keys/probe/value"}
    assert config["serve"]["state_keys"] == [{"file": "/run/mcp-tool/keys/state/value"}]
    assert config["log"]["audit"] == "stderr"
    assert {PROBE, STATE} <= wanted.keys()


def test_this_machine_has_another_name_inside() -> None:
    assert inside("127.0.0.1:5432") == "host.docker.internal:5432"
    assert inside("db.corp:5432") == "db.corp:5432"
