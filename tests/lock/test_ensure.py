"""The lock: made by the first build, kept while it fits, refused where it would have to change."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mcp_packager import lock
from mcp_packager.errors import UserError, WorldError
from mcp_packager.lock import runtime
from mcp_packager.platforms import Platform
from mcp_packager.store import Store
from tests.lock.made_wheels import make
from tests.lock.private_index import Index
from tests.lock.projects import Project, here

ARM = Platform("3.13", "aarch64-manylinux_2_28")


@pytest.fixture(autouse=True)
def _own_index(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime's dependencies come from the suite's index, ours from the test's own."""
    monkeypatch.setenv("UV_INDEX", index.url)


def test_the_first_lock_names_files_and_hashes_and_no_place(project: Project, index: Index, store: Store) -> None:
    make(index.wheels, "alpha", requires=["beta>=1"])
    make(index.wheels, "beta", "1.5")
    project.depend(["alpha"])
    made = lock.ensure(project.manifest, [here()], store=store)
    text = made.path.read_text()
    names = [package.name for package in made.platforms[here()[0]]]
    assert {"alpha", "beta", "mcp", "pydantic", "docstring-parser"} <= set(names)
    assert runtime.DISTRIBUTION not in names
    assert names == sorted(names)
    assert json.loads(text)["schema"] == 1
    assert "://" not in text
    assert "127.0.0.1" not in text
    assert str(project.folder) not in text
    assert str(store.root) not in text
    assert all(re.fullmatch(r"[0-9a-f]{64}", package.sha256) for package in made.platforms[here()[0]])


def test_a_fresh_lock_is_returned_without_asking_anybody(
    project: Project, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = lock.ensure(project.manifest, [here()], store=store)
    before = made.path.stat().st_mtime_ns
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PATH", "")
    again = lock.ensure(project.manifest, [here()], store=store, locked=True)
    assert again == made
    assert made.path.stat().st_mtime_ns == before


def test_what_still_fits_is_kept_until_an_upgrade(project: Project, index: Index, store: Store) -> None:
    make(index.wheels, "alpha", "1.0")
    make(index.wheels, "gamma", "1.0")
    project.depend(["alpha"])
    lock.ensure(project.manifest, [here()], store=store)
    make(index.wheels, "alpha", "1.1")
    project.depend(["alpha", "gamma"])
    kept = lock.ensure(project.manifest, [here()], store=store)
    assert kept.versions()["alpha"] == "1.0"
    assert kept.versions()["gamma"] == "1.0"
    upgraded = lock.ensure(project.manifest, [here()], store=store, upgrade=True)
    assert upgraded.versions()["alpha"] == "1.1"
    assert lock.read(project.folder) == upgraded


def test_a_second_platform_leaves_the_first_alone_and_agrees_with_it(
    project: Project, index: Index, store: Store
) -> None:
    make(index.wheels, "alpha", "1.0")
    project.depend(["alpha", "numpy"])
    first = lock.ensure(project.manifest, [here()], store=store)
    make(index.wheels, "alpha", "1.1")
    both = lock.ensure(project.manifest, [here(), (ARM, here()[1])], store=store)
    assert both.platforms[here()[0]] == first.platforms[here()[0]]
    arm = {package.name: package for package in both.platforms[ARM]}
    assert arm["alpha"].version == "1.0"
    assert "aarch64" in arm["numpy"].file
    assert "cp313" in arm["numpy"].file


def test_a_stale_lock_is_resolved_again_for_every_platform_it_covers(
    project: Project, index: Index, store: Store
) -> None:
    make(index.wheels, "alpha")
    lock.ensure(project.manifest, [here(), (ARM, here()[1])], store=store)
    project.depend(["alpha"])
    made = lock.ensure(project.manifest, [here()], store=store)
    assert all("alpha" in {package.name for package in packages} for packages in made.platforms.values())
    assert set(made.platforms) == {here()[0], ARM}


def test_the_same_inputs_give_the_same_bytes(project: Project, index: Index, tmp_path: Path) -> None:
    make(index.wheels, "alpha")
    project.depend(["alpha"])
    first = lock.ensure(project.manifest, [here()], store=Store(tmp_path / "one")).path.read_bytes()
    (project.folder / lock.FILE_NAME).unlink()
    second = lock.ensure(project.manifest, [here()], store=Store(tmp_path / "two")).path.read_bytes()
    assert first == second


def test_locked_refuses_each_kind_of_change(project: Project, index: Index, store: Store) -> None:
    with pytest.raises(UserError, match=r"There is no mcp-tool\.lock") as nothing:
        lock.ensure(project.manifest, [here()], store=store, locked=True)
    assert "mcp-pack lock" in nothing.value.problems[0].fix
    lock.ensure(project.manifest, [here()], store=store)
    with pytest.raises(UserError, match=r"does not cover 3\.13-aarch64"):
        lock.ensure(project.manifest, [here(), (ARM, here()[1])], store=store, locked=True)
    make(index.wheels, "alpha")
    project.depend(["alpha"])
    before = (project.folder / lock.FILE_NAME).read_bytes()
    with pytest.raises(UserError, match="older than what it was resolved from"):
        lock.ensure(project.manifest, [here()], store=store, locked=True)
    assert (project.folder / lock.FILE_NAME).read_bytes() == before


def test_a_lock_without_the_runtimes_extras_is_renewed_and_locked_says_what_it_lacks(
    project: Project, store: Store
) -> None:
    without = lock.ensure(project.manifest, [here()], store=store)
    names = {package.name for package in without.platforms[here()[0]]}
    assert "httptools" not in names
    with pytest.raises(UserError, match=r"is without the runtime's fast, and --locked forbids") as caught:
        lock.ensure(project.manifest, [here()], store=store, locked=True, extras=("fast",))
    assert "mcp-pack lock" in caught.value.problems[0].fix
    renewed = lock.ensure(project.manifest, [here()], store=store, extras=("fast",))
    assert {package.name for package in renewed.platforms[here()[0]]} - names == {"httptools", "uvloop"}
    assert renewed.runtime.extras == ("fast",)
    kept = {package.name: package.version for package in without.platforms[here()[0]]}
    assert kept.items() <= {package.name: package.version for package in renewed.platforms[here()[0]]}.items()
    assert lock.ensure(project.manifest, [here()], store=store, locked=True, extras=("fast",)) == renewed


def test_two_builds_at_once_both_end_up_in_the_lock(project: Project, index: Index, store: Store) -> None:
    manifest = project.manifest
    wanted = [here(), (ARM, here()[1]), (Platform("3.12", "x86_64-manylinux_2_28"), here()[1])]
    with ThreadPoolExecutor(len(wanted)) as pool:
        list(pool.map(lambda one: lock.ensure(manifest, [one], store=store), wanted))
    made = lock.read(project.folder)
    assert made is not None
    assert set(made.platforms) == {platform for platform, _ in wanted}


def test_an_image_digest_survives_a_new_resolution(project: Project, index: Index, store: Store) -> None:
    made = lock.ensure(project.manifest, [here()], store=store)
    replace(made, images={"python:3.13-slim": "sha256:" + "a" * 64}).write()
    make(index.wheels, "alpha")
    project.depend(["alpha"])
    assert lock.ensure(project.manifest, [here()], store=store).images == {"python:3.13-slim": "sha256:" + "a" * 64}


def test_no_wheel_for_the_platform_names_package_platform_and_fix(project: Project, index: Index, store: Store) -> None:
    make(index.wheels, "alpha", tag="cp311-cp311-win_amd64")
    project.depend(["alpha"])
    with pytest.raises(UserError, match="alpha has no wheel for Python") as caught:
        lock.ensure(project.manifest, [here()], store=store)
    problem = caught.value.problems[0]
    assert here()[0].tag in problem.what
    assert "alpha" in problem.fix
    assert not (project.folder / lock.FILE_NAME).exists()


def test_requirements_that_exclude_each_other_are_explained(project: Project, index: Index, store: Store) -> None:
    make(index.wheels, "alpha", requires=["pydantic<2"])
    project.depend(["alpha"])
    with pytest.raises(UserError, match="cannot be met together") as caught:
        lock.ensure(project.manifest, [here()], store=store)
    assert "pydantic" in str(caught.value.problems[0].found)


def test_a_package_that_no_index_has(project: Project, store: Store) -> None:
    project.depend(["no-such-package-anywhere"])
    with pytest.raises(UserError, match="No index that uv is set to has no-such-package-anywhere"):
        lock.ensure(project.manifest, [here()], store=store)


def test_an_unreachable_index_is_the_worlds_problem(
    project: Project, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_INDEX")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(store.root / "uv"))
    with pytest.raises(WorldError, match="cannot be reached") as caught:
        lock.ensure(project.manifest, [here()], store=store)
    assert "UV_DEFAULT_INDEX" in caught.value.problems[0].fix


def test_with_everything_in_the_store_nothing_is_asked(
    project: Project, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(index.wheels, "alpha")
    project.depend(["alpha"])
    wheels = lock.fetch(lock.ensure(project.manifest, [here()], store=store), here()[0], store=store)
    asked = len(index.asked)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_INDEX", "http://127.0.0.1:9/simple")
    again = lock.fetch(lock.ensure(project.manifest, [here()], store=store), here()[0], store=store)
    assert again == wheels
    assert len(index.asked) == asked
    assert {"alpha", runtime.DISTRIBUTION} <= {wheel.name for wheel in wheels}
