"""What was changed behind mcp-pack's back: files of the bundle that is served, of one that is kept, and who wins."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mcp_packager.bundle import materialise
from mcp_packager.bundle.entries import inline, make
from mcp_packager.files import remove_tree
from mcp_packager.platforms import Platform
from mcp_packager.testing import Pack, Project, calling, greeting
from mcp_targets.local.places import inside
from mcp_targets.local.trees import Trees, write_listing
from tests.targets.test_local import places_of

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Pack]]:
    folder = tmp_path_factory.mktemp("drift")
    project = Project(folder / "suite", "local")
    # A store of its own: one of these tests writes into it, and others link their bundles to theirs at that moment.
    pack = Pack(
        project.folder, "local", {"MCP_PACK_HOME": str(folder / "home"), "MCP_PACK_CACHE": str(folder / "store")}
    )
    project.write("1.0.0")
    pack.deploy()
    yield project, pack
    pack.run("destroy", "--yes")


def bundle_of(pack: Pack) -> Path:
    (folder,) = (path for path in inside(places_of(pack).bundles) if path.is_dir())
    return folder


def writable(path: Path) -> Path:
    path.chmod(path.stat().st_mode | stat.S_IWUSR)
    return path


def edit(path: Path, old: str, new: str) -> None:
    writable(path.parent)
    writable(path).write_text(path.read_text().replace(old, new))


def to_another_size(tree: Path) -> str:
    edit(tree / "app" / "one.py", "1", "12")
    return "app/one.py changed"


def to_the_same_size(tree: Path) -> str:
    edit(tree / "app" / "one.py", "1", "2")
    return "app/one.py changed"


def away(tree: Path) -> str:
    (tree / "lib" / "two.py").unlink()
    return "lib/two.py missing"


def added(tree: Path) -> str:
    (tree / "app" / "sitecustomize.py").write_text("print('hello')")
    return "app/sitecustomize.py added"


def a_link(tree: Path) -> str:
    code = tree / "app" / "one.py"
    code.rename(tree.parent / "elsewhere.py")
    code.symlink_to(tree.parent / "elsewhere.py")
    return "app/one.py changed"


def all_of_it(tree: Path) -> str:
    remove_tree(tree)
    return "app/one.py missing, contract.json missing and 1 more"


def nothing(tree: Path) -> str:
    os.utime(tree / "app" / "one.py")
    return ""


@pytest.mark.parametrize("change", [to_another_size, to_the_same_size, away, added, a_link, all_of_it, nothing])
def test_each_change_is_found(tmp_path: Path, change: Callable[[Path], str]) -> None:
    entries = (inline("app/one.py", b"one = 1"), inline("contract.json", b"{}"), inline("lib/two.py", b"two = 2"))
    bundle = make(entries, Platform("3.11", "x86_64-manylinux_2_28"), None)
    tree = tmp_path / bundle.hash
    materialise(bundle, tree)
    trees = Trees()
    assert trees.damage(tree) == "the list of its files missing"
    write_listing(bundle, tree)
    trees.forget()
    assert trees.damage(tree) == ""
    words = change(tree)
    assert trees.damage(tree) == "", "it was looked at before"
    trees.forget()
    assert trees.damage(tree) == words


def test_changes_to_the_files_that_are_served_are_drift_and_are_mended(shared: tuple[Project, Pack]) -> None:
    _, pack = shared
    before = pack.deploy()
    url = pack.url()
    bundle = bundle_of(pack)
    edit(bundle / "app" / "suite_tool.py", "This is", "This was")
    # A file of a dependency is hard-linked: whoever writes into it writes into the store.
    edit(bundle / "lib" / "mcp_tool" / "registry.py", "import", "import  ")
    (bundle / "lib" / "mcp_tool" / "wire.py").unlink()
    words = "app/suite_tool.py changed, lib/mcp_tool/registry.py changed and 1 more"
    told = pack.run("drift", expect=(4,)).told
    assert words in told
    assert "files that are not as they were written" in told
    assert words in pack.run("plan", "--exit-code", expect=(4,)).told
    with calling(url) as calls:
        mended = pack.deploy()
    assert mended["changed"] is True
    assert mended["release"] == before["release"]
    assert calls.failures == []
    assert greeting(url) == "hello, you! This is 1.0.0."
    assert bundle_of(pack) == bundle
    assert pack.run("drift").code == 0
    assert pack.deploy()["changed"] is False


def test_a_file_that_was_only_touched_is_read_and_believed(shared: tuple[Project, Pack]) -> None:
    _, pack = shared
    pack.deploy()
    os.utime(bundle_of(pack) / "app" / "suite_tool.py")
    assert pack.run("drift").code == 0
    assert pack.deploy()["changed"] is False


def test_a_list_of_files_that_is_gone_is_written_anew(shared: tuple[Project, Pack]) -> None:
    _, pack = shared
    pack.deploy()
    bundle_of(pack).with_name(f"{bundle_of(pack).name}.json").unlink()
    assert "the list of its files missing" in pack.run("drift", expect=(4,)).told
    pack.deploy()
    assert pack.run("drift").code == 0


def test_drift_says_who_wins(shared: tuple[Project, Pack]) -> None:
    _, pack = shared
    release = pack.deploy()["release"]
    edit(bundle_of(pack) / "app" / "suite_tool.py", "This is", "This was")
    plain = [*pack.argv("drift")]
    plain.remove("--json")
    told = subprocess.run(plain, env={**os.environ, **pack.environ}, capture_output=True, text=True, check=False).stdout
    assert f"release {release}" in told
    assert "the release wins: mcp-pack deploy mends it" in told
    pack.deploy()


def test_a_kept_bundle_that_was_changed_is_not_rolled_back_to(tmp_path: Path) -> None:
    project = Project(tmp_path / "suite", "local")
    pack = Pack(project.folder, "local", {"MCP_PACK_HOME": str(tmp_path / "home")})
    try:
        project.write("1.0.0")
        pack.deploy()
        edit(bundle_of(pack) / "app" / "suite_tool.py", "This is", "This was")
        project.write("2.0.0")
        url = pack.deploy()["endpoint"]["url"]
        # Nobody is served from it: no drift.
        assert pack.run("drift").code == 0
        with calling(url) as calls:
            told = pack.run("rollback", "--yes", expect=(3,)).told
        assert "is no longer here as it was: app/suite_tool.py changed" in told
        assert "build and deploy that version again" in told
        assert calls.failures == []
        assert set(calls.answers) == {"hello, you! This is 2.0.0."}
        project.write("1.0.0")
        assert pack.deploy()["version"] == "1.0.0"
        assert greeting(url) == "hello, you! This is 1.0.0."
    finally:
        pack.run("destroy", "--yes")
    assert not places_of(pack).root.exists()
