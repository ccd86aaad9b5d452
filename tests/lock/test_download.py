"""Wheels on their way into the store: checked, tried again, through proxies and custom authorities."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from mcp_packager import lock
from mcp_packager.errors import WorldError
from mcp_packager.lock.credentials import Credentials
from mcp_packager.lock.download import Wanted, download
from mcp_packager.store import Store
from tests.lock.certificates import authority
from tests.lock.made_wheels import make
from tests.lock.private_index import Index, serving
from tests.lock.projects import Project, here


def _wanted(index: Index, wheel: Path, sha256: str | None = None) -> Wanted:
    digest = sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest()
    return Wanted(wheel.name, digest, f"{index.url.removesuffix('/simple')}/files/{wheel.name}")


def _download(project: Project, store: Store, *wanted: Wanted) -> list[Path]:
    return [got.path for got in download(wanted, store=store, credentials=Credentials(project.folder))]


def test_many_files_arrive_whole_and_read_only_and_are_not_fetched_twice(
    project: Project, index: Index, store: Store
) -> None:
    wheels = [make(index.wheels, f"part-{number}", files={"data.bin": os.urandom(300_000)}) for number in range(20)]
    wanted = [_wanted(index, wheel) for wheel in wheels]
    paths = _download(project, store, *wanted)
    assert [path.read_bytes() for path in paths] == [wheel.read_bytes() for wheel in wheels]
    assert all(path.stat().st_mode & 0o222 == 0 for path in paths)
    assert _download(project, store, *wanted) == paths
    assert len(index.files_asked) == 20


def test_an_index_that_stumbles_is_asked_again(project: Project, index: Index, store: Store) -> None:
    wheel = make(index.wheels, "alpha")
    index.stumbles = 2
    (path,) = _download(project, store, _wanted(index, wheel))
    assert path.read_bytes() == wheel.read_bytes()
    assert len(index.files_asked) == 3


def test_other_bytes_than_the_lock_names_are_refused_and_not_kept(project: Project, index: Index, store: Store) -> None:
    wheel = make(index.wheels, "alpha")
    index.lies = True
    wanted = _wanted(index, wheel)
    with pytest.raises(WorldError, match="is not the file that the lock names") as caught:
        _download(project, store, wanted)
    assert caught.value.problems[0].expected == f"sha256 {wanted.sha256}"
    assert list(store.root.rglob("*.whl")) == []
    index.lies = False
    assert _download(project, store, wanted)


def test_every_file_that_fails_is_named(project: Project, index: Index, store: Store) -> None:
    good, gone = make(index.wheels, "alpha"), make(index.wheels, "beta")
    wanted = [_wanted(index, good), _wanted(index, gone), _wanted(index, gone, "0" * 64)]
    gone.unlink()
    with pytest.raises(WorldError) as caught:
        _download(project, store, *wanted)
    assert [problem.what.split()[0] for problem in caught.value.problems] == [gone.name, gone.name]
    assert all("answered 404" in problem.what for problem in caught.value.problems)


def test_an_index_without_hashes_is_locked_by_what_it_serves(
    project: Project, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.hashes = False
    wheel = make(index.wheels, "alpha")
    project.depend(["alpha"])
    monkeypatch.setenv("UV_INDEX", index.url)
    made = lock.ensure(project.manifest, [here()], store=store)
    locked = {package.name: package for package in made.platforms[here()[0]]}["alpha"]
    assert locked.sha256 == hashlib.sha256(wheel.read_bytes()).hexdigest()
    fresh = lock.read(project.folder)
    assert fresh is not None
    fetched = lock.fetch(fresh, here()[0], store=Store(store.root.with_name("elsewhere")))
    assert "alpha" in {wheel.name for wheel in fetched}


def test_a_file_that_left_the_index_is_named_with_its_hash(
    project: Project, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make(index.wheels, "alpha")
    project.depend(["alpha"])
    monkeypatch.setenv("UV_INDEX", index.url)
    lock.ensure(project.manifest, [here()], store=store)
    wheel.unlink()
    make(index.wheels, "alpha", files={"alpha.py": "changed = True\n"})
    read = lock.read(project.folder)
    assert read is not None
    with pytest.raises(WorldError, match="does not have alpha"):
        lock.fetch(read, here()[0], store=store)


@pytest.mark.parametrize("way", ["find-links", "find-links in pyproject", "file index", "relative index"])
def test_a_folder_serves_as_an_index(
    way: str, project: Project, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project.folder / "wheels" if "in pyproject" in way or "relative" in way else tmp_path / "wheels"
    wheel = make(folder, "alpha")
    project.depend(["alpha"])
    table = '[project]\nname = "shouting"\nversion = "1"\ndependencies = ["alpha"]\n'
    match way:
        case "find-links":
            monkeypatch.setenv("UV_FIND_LINKS", str(folder))
        case "find-links in pyproject":
            project.depend([])
            project.write("pyproject.toml", f'{table}[tool.uv]\nfind-links = ["wheels"]\n')
        case "file index":
            page = folder / "alpha"
            page.mkdir()
            wheel = wheel.rename(page / wheel.name)
            (page / "index.html").write_text(f'<html><body><a href="{wheel.name}">{wheel.name}</a></body></html>')
            monkeypatch.setenv("UV_INDEX", folder.as_uri())
        case "relative index":
            project.depend([])
            project.write("pyproject.toml", f'{table}[[tool.uv.index]]\nurl = "wheels"\nformat = "flat"\n')
    made = lock.ensure(project.manifest, [here()], store=store)
    read = lock.read(project.folder)
    assert read is not None
    (found,) = [item for item in lock.fetch(read, here()[0], store=store) if item.name == "alpha"]
    assert found.path.read_bytes() == wheel.read_bytes()
    assert str(tmp_path) not in made.path.read_text()


def test_an_authority_named_in_ssl_cert_file_is_trusted(
    project: Project, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, tls = authority(tmp_path)
    (tmp_path / "served").mkdir()
    make(tmp_path / "served", "alpha")
    project.depend(["alpha"])
    with serving(Index(tmp_path / "served"), tls) as index:
        monkeypatch.setenv("UV_INDEX", index.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(root))
        made = lock.ensure(project.manifest, [here()], store=store)
        assert "alpha" in {wheel.name for wheel in lock.fetch(made, here()[0], store=store)}
        monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)
        wanted = _wanted(index, tmp_path / "served" / "alpha-1.0-py3-none-any.whl")
        with pytest.raises(WorldError, match=r"(?i)certificate") as caught:
            _download(project, Store(tmp_path / "other"), wanted)
        assert "SSL_CERT_FILE" in caught.value.problems[0].fix


def test_a_proxy_is_asked_where_one_is_set(
    project: Project, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(index.wheels, "alpha")
    project.depend(["alpha"])
    monkeypatch.setenv("UV_INDEX", "http://packages.example/simple")
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, index.url.removesuffix("/simple"))
    made = lock.ensure(project.manifest, [here()], store=store)
    assert "alpha" in {wheel.name for wheel in lock.fetch(made, here()[0], store=store)}
    assert "http://packages.example/files/alpha-1.0-py3-none-any.whl" in [path for path, _ in index.asked]
