"""Tools of one run behind one load balancer: both of two that clash are refused, each with the other's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_packager.errors import Problem
from mcp_packager.manifest import Manifest
from mcp_packager.target import Artifact, Intent, base_config, identity_of
from mcp_targets.eks import target
from mcp_targets.eks.groups import TARGET_GROUPS
from tests.targets.aws.deployments import DIGEST, desired, written


def intent(manifest: Manifest) -> Intent:
    config = base_config(manifest, "eks", target.exposure(manifest, manifest.targets["eks"]))
    artifact = Artifact("eks", "image", manifest.tool.name, "1.2.3", DIGEST, 1, "c" * 64)
    return Intent(identity_of(manifest), "eks", artifact, config, {}, tuple(desired(manifest).values()))


def clashes(first: Manifest, *others: Manifest) -> tuple[Problem, ...]:
    return target.clashes(intent(first), [intent(other) for other in others])


@pytest.mark.parametrize("options", ["", 'group = "tools"'])
def test_the_same_host_and_path(tmp_path: Path, options: str) -> None:
    one, two = (written(tmp_path / name, options, name=name, host="tools.example.com") for name in ("one", "two"))
    said, said_back = clashes(one, two), clashes(two, one)
    assert said
    assert said_back
    for problem in (said[0], said_back[0]):
        assert "one (default)" in problem.what
        assert "two (default)" in problem.what
        assert "both claim tools.example.com/" in problem.what


@pytest.mark.parametrize("options", ["shared_host = true", 'shared_host = true\nclass = "edge"'])
def test_a_shared_host_has_a_path_for_each(tmp_path: Path, options: str) -> None:
    one, two = (written(tmp_path / name, options, name=name, host="tools.example.com") for name in ("one", "two"))
    assert clashes(one, two) == ()


def test_a_class_that_somebody_else_looks_after(tmp_path: Path) -> None:
    one, two = (
        written(tmp_path / name, 'class = "edge"', name=name, host="tools.example.com") for name in ("one", "two")
    )
    (said,) = clashes(one, two)
    assert "the class edge" in said.what


def test_more_than_a_load_balancer_holds(tmp_path: Path) -> None:
    every = [
        written(
            tmp_path / f"t{number}", 'shared_host = true\ngroup = "tools"', name=f"t{number}", host="tools.example.com"
        )
        for number in range(TARGET_GROUPS + 1)
    ]
    assert clashes(*every[:-1]) == ()
    (said,) = clashes(*every)
    assert f"{TARGET_GROUPS} target groups at most" in said.what
