from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcp_packager import registry
from mcp_packager.errors import UserError, WorldError
from mcp_packager.manifest.schema import portable_keys
from mcp_packager.registry import refusals, table
from mcp_packager.target import HONOURS, Level, refuses

Install = Callable[..., None]

_TARGET = """
from types import SimpleNamespace
target = SimpleNamespace(about=SimpleNamespace(name={name!r}, api={api}))
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution with one target on the path."""

    def put(name: str, *, code: str, distribution: str = "mcp-stranger", module: str = "stranger_target") -> None:
        folder = tmp_path / distribution
        info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{name} = {module}:target\n")
        if code:
            (folder / f"{module}.py").write_text(code)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, module, raising=False)

    return put


def test_local_is_found_without_being_loaded() -> None:
    assert "local" in registry.names()
    assert registry.load("local").about.name == "local"


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UserError, match="write local"):
        registry.load("locl")
    with pytest.raises(UserError, match="install the distribution"):
        registry.load("zeppelin")


def test_a_stranger_is_found_beside_our_own(install: Install) -> None:
    install("strange", code=_TARGET.format(name="strange", api=1))
    assert {"local", "strange"} <= set(registry.names())
    assert registry.load("strange").about.name == "strange"


def test_another_version_of_the_sdk_is_refused(install: Install) -> None:
    install("strange", code=_TARGET.format(name="strange", api=2))
    with pytest.raises(WorldError, match="another version of the target SDK") as caught:
        registry.load("strange")
    assert "mcp-stranger" in str(caught.value)


def test_a_target_that_calls_itself_otherwise_is_refused(install: Install) -> None:
    install("strange", code=_TARGET.format(name="local", api=1))
    with pytest.raises(WorldError, match="calls itself 'local'"):
        registry.load("strange")


def test_a_dependency_of_the_target_that_is_missing(install: Install) -> None:
    install("strange", code="import no_such_cloud_library\n")
    with pytest.raises(WorldError, match="needs the module no_such_cloud_library"):
        registry.load("strange")


def test_a_target_whose_own_module_is_missing(install: Install) -> None:
    install("strange", code="")
    with pytest.raises(WorldError, match="its module stranger_target is not there"):
        registry.load("strange")


def test_a_target_that_breaks_when_loaded(install: Install) -> None:
    install("strange", code="1 / 0\n")
    with pytest.raises(WorldError, match="cannot be loaded: ZeroDivisionError"):
        registry.load("strange")


def test_two_distributions_with_one_name(install: Install) -> None:
    install("local", code=_TARGET.format(name="local", api=1))
    with pytest.raises(UserError, match="two distributions bring a target 'local'"):
        registry.load("local")


def test_the_table_has_a_word_for_every_key_on_every_target() -> None:
    targets = registry.load_all()
    rows = table(targets, portable_keys())
    assert [row.key for row in rows] == list(portable_keys())
    assert all(set(row.targets) == set(targets) for row in rows)
    honours = {"level": "honours", "word": ""}
    assert rows[0].as_json() == {"key": "env", "targets": dict.fromkeys(sorted(targets), honours)}


def test_a_refused_key_is_a_problem_only_where_it_is_used() -> None:
    from types import SimpleNamespace

    about = SimpleNamespace(
        name="strange", support={"env": HONOURS, "scale.min": refuses("there is one of everything")}
    )
    target: Any = SimpleNamespace(about=about)
    assert refusals(target, ["env"]) == ()
    (problem,) = refusals(target, ["env", "scale.min"])
    assert problem.where.key == "scale.min"
    assert about.support["scale.min"].level is Level.REFUSES
