"""Where an image comes from: nothing of this machine, nothing secret, and the commit only where it is the code."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mcp_packager.image import ingredients as made_of
from mcp_packager.image.bases import Base
from mcp_packager.image.documents import Image
from mcp_packager.image.ingredients import Source, source
from mcp_packager.image.provenance import PREDICATE_TYPE, hashes, provenance, statement
from mcp_packager.image.reference import Reference
from mcp_packager.interpreters import find
from mcp_packager.lock import ensure
from mcp_packager.manifest import load
from mcp_packager.store import Store
from tests.image.attached import COMMIT, ingredients
from tests.image.bundles import LINUX, bundle

BASE = Base(
    Reference("docker.io", "library/python", "3.13-slim", "sha256:" + "b" * 64), Reference("m", "p"), "amd64", {}, ()
)
ONE = Image("amd64", BASE, (), b"{}", b"{}")


def test_the_statement_is_slsas() -> None:
    made = ingredients(source=Source(COMMIT, "git+https://code.corp/team/words.git"))
    document = json.loads(statement("team/words", ONE.digest, PREDICATE_TYPE, provenance([ONE], made)))
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "https://slsa.dev/provenance/v1"
    assert document["subject"] == [{"name": "team/words", "digest": {"sha256": ONE.digest[7:]}}]
    predicate = document["predicate"]
    assert set(predicate) == {"buildDefinition", "runDetails"}
    build = predicate["buildDefinition"]
    assert set(build) == {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"}
    assert build["externalParameters"]["tool"] == "word-tools"
    assert build["externalParameters"]["base"] == f"docker.io/library/python:3.13-slim@sha256:{'b' * 64}"
    assert predicate["runDetails"]["builder"]["id"].startswith("pkg:pypi/mcp-packager@")
    assert hashes(predicate) == {"b" * 64, "1" * 64, "f" * 64}
    assert build["resolvedDependencies"][-1] == {
        "name": "source",
        "uri": f"git+https://code.corp/team/words.git@{COMMIT}",
        "digest": {"gitCommit": COMMIT},
    }


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def repository(folder: Path, remote: str | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    git(folder, "init", "--quiet")
    (folder / "tool.py").write_text("x = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    if remote:
        git(folder, "remote", "add", "origin", remote)
    return folder


@pytest.mark.real("git")
@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://me:secret-word@code.corp:8443/team/words.git?token=x", "git+https://code.corp:8443/team/words.git"),
        ("git@code.corp:team/words.git", "git+ssh://code.corp/team/words.git"),
        ("ssh://git@code.corp/team/words.git", "git+ssh://code.corp/team/words.git"),
        ("/srv/somewhere/words.git", None),
        ("file:///srv/somewhere/words.git", None),
        ("../words", None),
        ("C:\\code\\words", None),
        (None, None),
    ],
)
def test_remotes(tmp_path: Path, remote: str | None, address: str | None) -> None:
    project = repository(tmp_path / "project", remote)
    assert source(project) == Source(git(project, "rev-parse", "HEAD"), address)


@pytest.mark.real("git")
def test_no_commit_is_named_for_code_that_is_not_committed(tmp_path: Path) -> None:
    project = repository(tmp_path / "project")
    (project / "new.py").write_text("y = 1\n")
    assert source(project) is None
    (project / "new.py").unlink()
    (project / "tool.py").write_text("x = 2\n")
    assert source(project) is None
    git(project, "checkout", "--quiet", ".")
    assert source(project) is not None
    assert source(tmp_path) is None
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "--quiet")
    assert source(tmp_path / "empty") is None


@pytest.mark.real("git")
def test_a_folder_beside_the_project_does_not_matter(tmp_path: Path) -> None:
    whole = repository(tmp_path / "whole")
    project = whole / "words"
    project.mkdir()
    (project / "tool.py").write_text("x = 1\n")
    git(whole, "add", ".")
    git(whole, "commit", "--quiet", "-m", "two")
    (whole / "other.py").write_text("z = 1\n")
    assert source(project) is not None


def test_ingredients_of_a_real_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "secret-word")
    project = tmp_path / "project"
    project.mkdir()
    (project / "mcp-tool.toml").write_text(
        '[tool]\nname = "words"\nversion = "2.1.0"\nentrypoint = "words"\npython = ">=3.11"\n'
        '[secrets.API_KEY]\nfrom = "env:API_KEY"\n[env]\nPLACE = "some-place"\n'
    )
    (project / "words.py").write_text("")
    manifest = load(project)
    interpreter = find(manifest.tool.python)
    platform = type(LINUX)(interpreter.minor, LINUX.tag)
    lock = ensure(manifest, [(platform, interpreter)])
    found = made_of(manifest, lock, {platform: bundle()}, store=Store())
    components = {item.name: item for item in found.components["amd64"]}
    wanted = {package.name for package in lock.platforms[platform]} | {"mcp-tool-runtime"}
    assert components.keys() == wanted
    assert {package.sha256 for package in lock.platforms[platform]} < {item.sha256 for item in components.values()}
    assert (found.tool, found.version, found.python) == ("words", "2.1.0", interpreter.minor)
    text = json.dumps(provenance([ONE], found))
    assert "secret-word" not in text
    assert str(tmp_path) not in text
    assert "some-place" not in text
