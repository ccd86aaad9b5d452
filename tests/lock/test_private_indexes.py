"""Private indexes work by every one of uv's own ways, and what opens them is written and shown nowhere."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_packager import lock
from mcp_packager.bundle import assemble, materialise, write_wheel
from mcp_packager.errors import PackError, WorldError
from mcp_packager.lock.credentials import Credentials
from mcp_packager.store import Store
from tests.lock.made_wheels import make
from tests.lock.private_index import Index, serving
from tests.lock.projects import Project, here

USER, PASSWORD = "who-builds", "kX7-planted/Secret+value"
SPELLINGS = (
    PASSWORD,
    PASSWORD.replace("/", "%2F").replace("+", "%2B"),
    base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
)
QUOTED = f"{USER}:{SPELLINGS[1]}"

Way = Callable[[Index, Project, pytest.MonkeyPatch, Path], None]


def _with_login(index: Index) -> str:
    return index.url.replace("://", f"://{QUOTED}@")


def _in_uv_index(index: Index, project: Project, patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    patch.setenv("UV_INDEX", _with_login(index))


def _in_extra_index_url(index: Index, project: Project, patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    patch.setenv("UV_EXTRA_INDEX_URL", _with_login(index))


def _in_default_index(index: Index, project: Project, patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    patch.setenv("UV_INDEX", os.environ["UV_DEFAULT_INDEX"])
    patch.setenv("UV_DEFAULT_INDEX", _with_login(index))


def _by_name(index: Index, project: Project, patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    patch.setenv("UV_INDEX", f"our-own={index.url}")
    patch.setenv("UV_INDEX_OUR_OWN_USERNAME", USER)
    patch.setenv("UV_INDEX_OUR_OWN_PASSWORD", PASSWORD)


def _by_name_in_pyproject(index: Index, project: Project, patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    project.depend([])
    project.write(
        "pyproject.toml",
        '[project]\nname = "shouting"\nversion = "1"\ndependencies = ["alpha"]\n'
        f'[[tool.uv.index]]\nname = "ours"\nurl = "{index.url}"\n',
    )
    patch.setenv("UV_INDEX_OURS_USERNAME", USER)
    patch.setenv("UV_INDEX_OURS_PASSWORD", PASSWORD)


def _in_uv_toml(index: Index, project: Project, patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config" / "uv" / "uv.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[[index]]\nurl = "{_with_login(index)}"\n')
    patch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def _in_netrc(index: Index, project: Project, patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    patch.setenv("UV_INDEX", index.url)
    path = tmp_path / "netrc"
    path.write_text(f"machine 127.0.0.1\nlogin {USER}\npassword {PASSWORD}\n")
    path.chmod(0o600)
    patch.setenv("NETRC", str(path))


def _in_keyring(index: Index, project: Project, patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    patch.setenv("UV_INDEX", index.url.replace("://", f"://{USER}@"))
    patch.setenv("UV_KEYRING_PROVIDER", "subprocess")
    program = tmp_path / "bin" / "keyring"
    program.parent.mkdir()
    # The service is the index's address, or its host and port.
    program.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = get ] && [ "$3" = "{USER}" ] || exit 1\n'
        f"case \"$2\" in *127.0.0.1*) printf '%s\\n' '{PASSWORD}';; *) exit 1;; esac\n"
    )
    program.chmod(0o755)
    patch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def _in_uvs_own_store(index: Index, project: Project, patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from uv import find_uv_bin

    from mcp_packager.process import run

    patch.setenv("UV_INDEX", index.url)
    patch.setenv("UV_CREDENTIALS_DIR", str(tmp_path / "credentials"))
    done = run([find_uv_bin(), "auth", "login", index.url, "--username", USER, "--password", PASSWORD])
    assert done.ok, done.stderr


WAYS: tuple[Way, ...] = (
    _in_uv_index,
    _in_extra_index_url,
    _in_default_index,
    _by_name,
    _by_name_in_pyproject,
    _in_uv_toml,
    _in_netrc,
    _in_keyring,
    _in_uvs_own_store,
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
def test_every_way_opens_the_index_and_leaves_no_trace(
    way: Way,
    project: Project,
    index: Index,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    index.login = (USER, PASSWORD)
    make(index.wheels, "alpha")
    project.depend(["alpha"])
    way(index, project, monkeypatch, tmp_path)
    made = lock.ensure(project.manifest, [here()], store=store)
    # From a lock that was only read, as on another machine: the addresses have to be asked for again.
    again = lock.read(project.folder)
    assert again is not None
    wheels = lock.fetch(again, here()[0], store=store)
    assert "alpha" in {wheel.name for wheel in wheels}
    assert len(index.files_asked) >= 1
    printed = capfd.readouterr()
    shown = f"{made!r}{again!r}{wheels!r}{printed.out}{printed.err}"
    assert not [spelling for spelling in SPELLINGS if spelling in shown]
    assert _holding((project.folder, store.root)) == []


def test_artifacts_from_a_private_index_hold_no_credentials(
    project: Project, index: Index, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.login = (USER, PASSWORD)
    make(index.wheels, "alpha")
    project.depend(["alpha"])
    _by_name(index, project, monkeypatch, tmp_path)
    platform, interpreter = here()
    made = lock.ensure(project.manifest, [(platform, interpreter)], store=store)
    bundle = assemble(
        manifest=project.manifest,
        lock=made,
        platform=platform,
        interpreter=interpreter,
        contract_document={},
        tool_document={},
        store=store,
    )
    materialise(bundle, tmp_path / "out" / "tree")
    write_wheel(bundle, project.manifest, tmp_path / "out")
    assert "lib/alpha.py" in {entry.path for entry in bundle.entries}
    assert _holding((tmp_path / "out", project.folder, store.root)) == []


def _holding(folders: tuple[Path, ...]) -> list[Path]:
    """Files that hold the password in any spelling."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    return [path for path in files if any(spelling.encode() in path.read_bytes() for spelling in SPELLINGS)]


@pytest.mark.parametrize("login", ["tok-5521-planted:", "tok-5521-planted"])
def test_a_token_alone_opens_an_index_that_wants_only_one(
    login: str, project: Project, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.login = ("tok-5521-planted", "")
    make(index.wheels, "alpha")
    project.depend(["alpha"])
    monkeypatch.setenv("UV_INDEX", index.url.replace("://", f"://{login}@"))
    made = lock.ensure(project.manifest, [here()], store=store)
    assert "alpha" in {wheel.name for wheel in lock.fetch(made, here()[0], store=store)}


@pytest.mark.parametrize("login", [None, "someone:wrong-password-77"])
def test_a_refused_index_is_a_problem_without_the_password(
    login: str | None, project: Project, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    index.login = (USER, PASSWORD)
    make(index.wheels, "alpha")
    project.depend(["alpha"])
    monkeypatch.setenv("UV_CREDENTIALS_DIR", str(tmp_path / "credentials"))
    monkeypatch.setenv("UV_INDEX", index.url.replace("://", f"://{login}@") if login else index.url)
    with pytest.raises(PackError) as caught:
        lock.ensure(project.manifest, [here()], store=store)
    assert "UV_INDEX_<NAME>_PASSWORD" in caught.value.problems[0].fix
    assert "wrong-password-77" not in str(caught.value)


def test_a_file_that_is_refused_says_so_without_the_password(
    project: Project, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    index.login = (USER, PASSWORD)
    make(index.wheels, "alpha")
    project.depend(["alpha"])
    monkeypatch.setenv("UV_INDEX", _with_login(index))
    lock.ensure(project.manifest, [here()], store=store)
    made = lock.ensure(project.manifest, [here()], store=store, upgrade=True)
    monkeypatch.delenv("UV_INDEX")
    monkeypatch.setenv("UV_CREDENTIALS_DIR", str(tmp_path / "credentials"))
    with pytest.raises(WorldError, match="answered 401") as caught:
        lock.fetch(made, here()[0], store=store)
    assert not [spelling for spelling in SPELLINGS if spelling in str(caught.value)]
    assert "asked without credentials" in caught.value.problems[0].what


def test_credentials_stay_with_their_host_on_a_redirect(
    project: Project, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(index.wheels, "alpha")
    project.depend(["alpha"])
    index.login = (USER, PASSWORD)
    monkeypatch.setenv("UV_INDEX", _with_login(index))
    with serving(Index(index.wheels)) as other:
        made = lock.ensure(project.manifest, [here()], store=store)
        index.files_at = other.url.removesuffix("/simple")
        lock.fetch(made, here()[0], store=store)
        assert other.files_asked == ["/files/alpha-1.0-py3-none-any.whl"]
        assert [header for _, header in other.asked] == [None]


def test_two_indexes_on_one_host_have_credentials_of_their_own(tmp_path: Path) -> None:
    environ = {
        "UV_INDEX": "https://a:1@host.example/team-a/simple https://b:2@host.example/team-b/simple",
        "NETRC": str(tmp_path / "none"),
        "HOME": str(tmp_path),
    }
    known = Credentials(tmp_path, environ)
    for team, login in (("a", b"a:1"), ("b", b"b:2")):
        header = known.header(f"https://host.example/team-{team}/files/x.whl")
        assert header == "Basic " + base64.b64encode(login).decode()


def test_a_name_in_one_index_does_not_open_another(tmp_path: Path) -> None:
    environ = {
        "UV_INDEX": "one=https://one.example/simple two=https://two.example/simple",
        "UV_INDEX_ONE_USERNAME": USER,
        "UV_INDEX_ONE_PASSWORD": PASSWORD,
        "NETRC": str(tmp_path / "none"),
        "PATH": "",
        "HOME": str(tmp_path),
    }
    known = Credentials(tmp_path, environ)
    assert known.header("https://one.example/files/a.whl") is not None
    assert known.header("https://two.example/files/a.whl") is None
    assert known.header("https://one.example:8443/files/a.whl") is None
    assert known.header("http://one.example/files/a.whl") is None
    assert PASSWORD not in repr(known)
