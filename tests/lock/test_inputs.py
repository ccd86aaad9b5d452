"""Where dependencies come from: pyproject.toml, else the manifest; uv.lock constrains; the runtime is always there."""

from __future__ import annotations

import pytest

from mcp_packager import lock
from mcp_packager.errors import UserError
from mcp_packager.lock import uv
from mcp_packager.store import Store
from tests.lock.made_wheels import make
from tests.lock.private_index import Index
from tests.lock.projects import Project, here


@pytest.fixture(autouse=True)
def _own_index(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX", index.url)


def _names(project: Project, store: Store) -> dict[str, str]:
    return lock.ensure(project.manifest, [here()], store=store).versions()


def test_pyproject_comes_before_the_manifest(project: Project, index: Index, store: Store) -> None:
    make(index.wheels, "alpha")
    project.depend([])
    project.write("pyproject.toml", '[project]\nname = "shouting"\nversion = "1"\ndependencies = ["alpha"]\n')
    assert "alpha" in _names(project, store)


def test_uv_lock_holds_versions_back(project: Project, index: Index, store: Store) -> None:
    make(index.wheels, "alpha", "1.0")
    make(index.wheels, "alpha", "2.0")
    project.depend(["alpha"])
    assert _names(project, store)["alpha"] == "2.0"
    project.write(
        "uv.lock",
        'version = 1\n[[package]]\nname = "alpha"\nversion = "1.0"\n'
        'source = { registry = "https://index.example/simple" }\n'
        '[[package]]\nname = "shouting"\nversion = "1"\nsource = { editable = "." }\n',
    )
    assert _names(project, store)["alpha"] == "1.0"
    assert "index.example" not in (project.folder / lock.FILE_NAME).read_text()


def test_uv_lock_with_forks_keeps_the_fork_that_applies(project: Project, index: Index, store: Store) -> None:
    for version in ("1.0", "2.0", "3.0"):
        make(index.wheels, "alpha", version)
    project.depend(["alpha"])
    row = (
        '[[package]]\nname = "alpha"\nversion = "{}"\n'
        'source = {{ registry = "https://i.example/simple" }}\nresolution-markers = [{}]\n'
    )
    old, new = "\"python_full_version < '3.11'\"", "\"python_full_version >= '3.11'\""
    project.write("uv.lock", "version = 1\n" + row.format("1.0", old) + row.format("2.0", new))
    assert _names(project, store)["alpha"] == "2.0"


def test_settings_of_uv_that_change_the_result_make_the_lock_stale(
    project: Project, index: Index, store: Store
) -> None:
    make(index.wheels, "alpha", "1.0")
    make(index.wheels, "alpha", "2.0")
    table = '[project]\nname = "shouting"\nversion = "1"\ndependencies = ["alpha"]\n'
    project.write("pyproject.toml", table)
    assert _names(project, store)["alpha"] == "2.0"
    project.write("pyproject.toml", table + '[tool.uv]\nconstraint-dependencies = ["alpha<2"]\n')
    assert _names(project, store)["alpha"] == "1.0"


def test_a_source_that_picks_an_index_is_followed(
    project: Project, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(index.wheels, "alpha")
    monkeypatch.delenv("UV_INDEX")
    project.write(
        "pyproject.toml",
        '[project]\nname = "shouting"\nversion = "1"\ndependencies = ["alpha"]\n'
        f'[tool.uv.sources]\nalpha = {{ index = "ours" }}\n'
        f'[[tool.uv.index]]\nname = "ours"\nurl = "{index.url}"\nexplicit = true\n',
    )
    made = lock.ensure(project.manifest, [here()], store=store)
    read = lock.read(project.folder)
    assert read is not None
    assert {"alpha", "mcp"} <= {wheel.name for wheel in lock.fetch(read, here()[0], store=store)}
    assert index.url not in made.path.read_text()


def test_the_runtime_may_be_named_with_an_extra(project: Project, index: Index, store: Store) -> None:
    project.depend(["mcp-tool-runtime[fast]>=0.1"])
    assert "httptools" in _names(project, store)


@pytest.mark.parametrize(
    ("dependencies", "expected"),
    [
        (["mcp-tool-runtime>=9"], "is installed with mcp-pack, the tool asks for >=9"),
        (["mcp-tool-runtime[nonsense]"], "has no extra nonsense"),
        (["alpha @ https://example.com/alpha-1.0-py3-none-any.whl"], "alpha is named by an address"),
    ],
)
def test_what_cannot_be_locked_is_a_problem(
    project: Project, store: Store, dependencies: list[str], expected: str
) -> None:
    project.depend(dependencies)
    with pytest.raises(UserError) as caught:
        lock.ensure(project.manifest, [here()], store=store)
    problem = caught.value.problems[0]
    assert expected in problem.what
    assert problem.where.key == "tool.dependencies"
    assert problem.fix


def test_dynamic_dependencies_are_not_built_to_be_known(project: Project, store: Store) -> None:
    project.write("pyproject.toml", '[project]\nname = "shouting"\nversion = "1"\ndynamic = ["dependencies"]\n')
    with pytest.raises(UserError, match="dynamic"):
        lock.ensure(project.manifest, [here()], store=store)


@pytest.mark.parametrize("content", ["[project\n", '[project]\nname = "x"\ndependencies = "numpy"\n', b"\xff\xfe"])
def test_a_broken_pyproject_is_a_problem_with_its_place(project: Project, store: Store, content: str | bytes) -> None:
    manifest = project.manifest
    project.write("pyproject.toml", content)
    with pytest.raises(UserError) as caught:
        lock.ensure(manifest, [here()], store=store)
    assert str(caught.value.problems[0].where.file).endswith("pyproject.toml")


def test_uv_is_never_let_loose(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"UV_PYTHON_DOWNLOADS": "automatic", "UV_PYTHON": "3.8", "UV_INDEX": "http://kept"}.items():
        monkeypatch.setenv(name, value)
    seen = uv.environment()
    assert seen["UV_PYTHON_DOWNLOADS"] == "never"
    assert "UV_PYTHON" not in seen
    assert seen["UV_INDEX"] == "http://kept"
