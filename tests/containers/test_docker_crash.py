"""The crash matrix of `docker` on a real daemon: killed before, after and inside of what commands ask it to change."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from mcp_packager.target import Holder, Identity, Observed, Release, WorldInput
from mcp_packager.testing import Pack, greeting
from mcp_targets.docker.names import EMPTY, KIND, NAME, Names
from mcp_targets.docker.options import Options
from mcp_targets.docker.world import DockerWorld
from tests import sampling
from tests.containers.asking import daemon
from tests.targets.crash import matrix
from tests.targets.crash.matrix import Told, commands
from tests.targets.loading import client

pytestmark = [
    pytest.mark.real("dockerd", "docker-registry", "base-image"),
    pytest.mark.xdist_group("docker"),
    pytest.mark.timeout(3600 if sampling.whole() else 300),
]

IDENTITY: Final = Identity("suite-tool", "suite-tool", "default")
_RANDOM: Final = frozenset({"private_port", "port", "version", "serial", "made", "volume", "document"})
_VERSION: Final = re.compile(r"(?<=-)[0-9a-f]{8}(?=[\":-])")


def world() -> DockerWorld:
    return DockerWorld(WorldInput(IDENTITY, options=Options(), environ=os.environ))


class Place(matrix.Place):
    """One project at the tests' daemon."""

    target = "docker"
    before: frozenset[str] = frozenset()
    """What other tests left at the daemon, or use there."""

    def picture(self, new: str, old: str) -> dict[str, Any]:
        here = world()
        releases = here.records.listing()
        found = {
            "releases": [(release.outcome.value, release.intent.artifact.version) for release in releases],
            "things": {str(key): _steady(thing) for key, thing in sorted(here.observe().items())},
            "containers": list(containers()),
            "volumes": list(volumes()),
            "networks": list(networks()),
            "images": list(images()),
            "answer": greeting(self.url()),
        }
        holder = here.lock.read()
        assert holder is None or holder.expires == 0.0
        text = json.dumps(found, sort_keys=True)
        for plain, name in _said(releases, {new: "new", old: "old"}):
            text = text.replace(plain, name)
        told: dict[str, Any] = json.loads(_VERSION.sub("VERSION", text))
        return {name: sorted(part) if isinstance(part, list) else part for name, part in told.items()}

    def url(self) -> str:
        return Pack(self.project.folder, "docker", {}).url()

    def earlier(self) -> str:
        *_, before, _ = world().records.listing()
        return str(before.number)

    def nothing_left(self) -> None:
        assert everything() - self.before == set()


def _steady(thing: Observed) -> dict[str, Any]:
    # The front may run from the image of any release.
    random = _RANDOM | {"image"} if thing.kind == "front" else _RANDOM
    return {name: value for name, value in thing.fields.items() if name not in random}


def containers() -> Iterator[str]:
    """Every container at the daemon: what has no name of ours must not be there either."""
    for found in daemon().api.containers(all=True):
        yield f"{found['Names'][0].lstrip('/')}: {found['State']}"


def everything() -> set[str]:
    """All that there is at the daemon, which other tests use too."""
    return {*containers(), *all_volumes(), *networks(), *images(), *all_images()}


def all_volumes() -> list[str]:
    return [found["Name"] for found in daemon().api.volumes()["Volumes"] or ()]


def volumes() -> Iterator[str]:
    """Every volume by name, one that holds a file with what that is; the lock is looked at for itself."""
    held = daemon()
    for found in held.api.volumes()["Volumes"] or ():
        labels: Mapping[str, str] = found["Labels"] or {}
        match labels.get(KIND):
            case "lock":
                continue
            case "release":
                yield "release"
            case "config":
                yield f"{found['Name']}: {'tool' in str(held.read(found['Name'], 'config.json'))}"
            case "secret" | "key":
                yield f"{labels.get(NAME)}: {len(held.read(found['Name'], 'value') or b'')} bytes"
            case _:
                yield found["Name"]


def all_images() -> list[str]:
    """Every image that a deploy brought, also the one that is no tool's."""
    return [tag for found in daemon().api.images() for tag in found["RepoTags"] or () if "mcp-pack/" in tag]


def networks() -> Iterator[str]:
    for found in daemon().api.networks(filters=Names(IDENTITY).filters):
        yield found["Name"]


def images() -> Iterator[str]:
    """Every image of the tool, but one that the front alone runs from: that may be of any release."""
    api = daemon().api
    users: dict[str, set[str]] = {}
    for container in api.containers(all=True):
        users.setdefault(container["ImageID"], set()).add(container["Labels"].get(KIND, ""))
    for found in api.images(name="mcp-pack/suite-tool"):
        if users.get(found["Id"]) != {"front"}:
            yield from found["RepoTags"]


def _said(releases: tuple[Release, ...], names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each text that differs between runs, and what to say for it."""
    for release in releases:
        name, artifact = names[release.intent.artifact.version], release.intent.artifact
        yield artifact.facts["image"], f"image-{name}"
        yield artifact.facts["reference"], f"reference-{name}"
        for resource in release.intent.resources:
            if resource.kind in {"config", "image", "container"}:
                yield resource.name, f"{resource.kind}-{name}"
    yield from names.items()


@contextmanager
def place(folder: Path, keep: int) -> Iterator[Place]:
    environ = {"WORD": "sesame"}
    with client() as calls, commands("docker", folder / "suite", environ) as running:
        made = Place(folder, running, calls, keep)
        made.before = frozenset(everything())
        try:
            yield made
        finally:
            made.write("1.0.0")
            running.run("destroy", "--data")
        made.nothing_left()


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    return matrix.telling(capsys)


@pytest.mark.parametrize("story", sampling.sampled(sorted(matrix.STORIES), 2, of="docker crash"))
def test_killed(tmp_path: Path, told: Told, story: str) -> None:
    tell, keep = matrix.STORIES[story]
    with place(tmp_path, keep) as here:
        tell(here, told)


def test_a_lock_of_one_that_died_here_holds_nothing(tmp_path: Path) -> None:
    """And that of one on another machine, of whom nothing is known, holds until its time is over."""
    lock = world().lock
    mine = Holder("somebody", "deploy", "token", 1.0, 4e9)
    assert lock.swap(None, mine)
    try:
        assert lock.read() == mine
        assert not lock.swap(None, mine)
    finally:
        assert lock.swap(mine, None)
    assert all_volumes() == []


def test_destroys_take_the_image_of_nothing_from_nobody() -> None:
    """It goes with the last deployment, and who needs it in that moment brings it back."""
    held = daemon()
    done = threading.Event()

    def destroys() -> None:
        while not done.wait(0.05):
            held.drop_empty()

    names = [f"mcp-pack-race-{number}" for number in range(2)]
    with ThreadPoolExecutor() as pool:
        removing = pool.submit(destroys)
        try:
            for name in names * 2:
                held.api.create_volume(name)
                held.write(name, {"file": b"text"})
                assert held.read(name, "file") == b"text"
        finally:
            done.set()
        removing.result(60)
    for name in names:
        held.remove_volume(name)
    held.drop_empty()
    assert held.api.images(name=EMPTY) == []
