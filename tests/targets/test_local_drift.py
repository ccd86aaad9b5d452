"""What was changed behind mcp-pack's back: files of the bundle that is served, of one that is kept, and who wins."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mcp_packager.testing import Pack, Project, calling, greeting
from mcp_targets.local.places import inside
from tests.targets.test_local import places_of

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Pack]]:
    folder = tmp_path_factory.mktemp("drift")
    project = Project(folder / "suite", "local")
    pack = Pack(project.folder, "local", {"MCP_PACK_HOME": str(folder / "home")})
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


def edited(bundle: Path) -> str:
    code = writable(bundle / "app" / "suite_tool.py")
    code.write_text(code.read_text().replace("This is", "This was"))
    return "app/suite_tool.py changed"


def edited_to_the_same_size(bundle: Path) -> str:
    code = writable(bundle / "app" / "suite_tool.py")
    code.write_text(code.read_text().replace("This is", "That is"))
    return "app/suite_tool.py changed"


def edited_in_the_store_too(bundle: Path) -> str:
    """A file of a dependency is hard-linked: whoever writes into it writes into the store."""
    code = writable(bundle / "lib" / "mcp_tool" / "registry.py")
    code.write_text("# nothing is left\n" + code.read_text())
    return "lib/mcp_tool/registry.py changed"


def missing(bundle: Path) -> str:
    folder = bundle / "lib" / "mcp_tool"
    writable(folder)
    (folder / "principal.py").unlink(missing_ok=True)
    (folder / "wire.py").unlink()
    return "lib/mcp_tool/wire.py missing"


def added(bundle: Path) -> str:
    writable(bundle / "app")
    (bundle / "app" / "sitecustomize.py").write_text("print('hello')\n")
    return "app/sitecustomize.py added"


def replaced_by_a_link(bundle: Path) -> str:
    writable(bundle / "app")
    code = bundle / "app" / "suite_tool.py"
    elsewhere = bundle.parent.parent / "elsewhere.py"
    elsewhere.write_bytes(code.read_bytes())
    code.unlink()
    code.symlink_to(elsewhere)
    return "app/suite_tool.py changed"


@pytest.mark.parametrize(
    "change", [edited, edited_to_the_same_size, edited_in_the_store_too, missing, added, replaced_by_a_link]
)
def test_a_change_to_the_files_that_are_served_is_drift_and_is_mended(
    shared: tuple[Project, Pack], change: Callable[[Path], str]
) -> None:
    _, pack = shared
    before = pack.deploy()
    url = pack.url()
    bundle = bundle_of(pack)
    words = change(bundle)
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
    edited(bundle_of(pack))
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
        edited(bundle_of(pack))
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


def test_a_plan_with_nothing_to_do_is_quick(shared: tuple[Project, Pack], capsys: pytest.CaptureFixture[str]) -> None:
    _, pack = shared
    pack.deploy()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        pack.run("plan", "--exit-code")
        times.append(time.perf_counter() - began)
    with capsys.disabled():
        print(f"\nplan with nothing to do, whole process: {min(times):.2f} s at best, {max(times):.2f} s at worst")
