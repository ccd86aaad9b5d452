"""Keys that are made on this machine: once, kept, never told, gone with the deployment."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_packager import engine
from mcp_packager.target import Action, Generated, Identity, Key, Observed, Plan, Resource, Step, WorldInput
from mcp_targets.local.world import LocalWorld

HOME = Resource("home", "home", {"identity": Identity("keyed", "keyed").as_json()})
PROBE = Resource("key", "probe", {"bytes": 32, "made": Generated("made")}, (HOME.key,))


@pytest.fixture
def world(tmp_path: Path) -> LocalWorld:
    return LocalWorld(WorldInput(Identity("keyed", "keyed"), environ={"MCP_PACK_HOME": str(tmp_path)}))


def plan(world: LocalWorld) -> Plan:
    return engine.diff((HOME, PROBE), world.observe(), world.kinds)


def make(world: LocalWorld) -> Observed:
    for change in plan(world).changes:
        world.apply(Step(change.action, change.key, change.resource, change.observed))
    assert not plan(world).due
    return world.observe()[PROBE.key]


def test_a_key_is_made_once_and_its_value_is_in_its_file_alone(world: LocalWorld) -> None:
    assert world.probe_key() is None
    there = make(world)
    key = world.probe_key()
    assert key is not None
    assert len(key) == 32
    path = Path(there.fields["path"])
    assert path.read_text() == key.hex()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert key.hex() not in str(there)
    # A creation that is made once more, after its answer was lost, keeps what is there.
    world.apply(Step(Action.CREATE, PROBE.key, PROBE, None))
    assert world.probe_key() == key


@pytest.mark.parametrize("text", ["", "abc", "nonsense", "00" * 16])
def test_a_key_that_was_spoilt_is_made_anew_under_another_path(world: LocalWorld, text: str) -> None:
    before = make(world)
    Path(before.fields["path"]).write_text(text)
    assert plan(world).due
    after = make(world)
    assert after.fields["path"] != before.fields["path"]
    assert len(list(Path(after.fields["path"]).parent.iterdir())) == 1
    key = world.probe_key()
    assert key is not None
    assert len(key) == 32


def test_a_key_goes_and_takes_its_scratch_files_along(world: LocalWorld) -> None:
    folder = Path(make(world).fields["path"]).parent
    (folder / ".scratch").write_text("left by one that was killed")
    world.apply(Step(Action.DELETE, PROBE.key, None, None))
    assert Key("key", "probe") not in world.observe()
    assert not folder.exists()
    assert world.probe_key() is None
