"""Changes of single objects: applied last, and refused where they do not fit."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_packager.errors import UserError
from mcp_packager.manifest import load
from mcp_targets._kube.jsonpatch import PatchError, applied
from mcp_targets._kube.merging import merged
from mcp_targets.kubernetes import target
from mcp_targets.kubernetes.options import Options
from tests.targets.kube.samples import EVERYTHING, SMALLEST, made

STORE = '[services.store]\nimage = "redis:7"\nports = [6379]\n[services.more]\nimage = "redis:7"\nports = [6379]\n'


def patched(folder: Path, patch: str) -> Any:
    return made(folder, f"{SMALLEST}\n[[target.kubernetes.patches]]\n{patch}\n{STORE}")


def test_patches_change_what_they_name_and_nothing_else(tmp_path: Path) -> None:
    before = made(tmp_path / "a", f"{SMALLEST}\n{STORE}")
    after = patched(tmp_path / "b", 'target = "service"\nmerge = { metadata = { annotations = { team = "shop" } } }')
    changed = [item["kind"] for item, other in zip(before.objects, after.objects, strict=True) if item != other]
    assert changed == ["Service"] * 3
    assert after.of("Service", "shop-service-store")["metadata"]["annotations"] == {"team": "shop"}


def test_one_of_several_is_named_by_its_service(tmp_path: Path) -> None:
    after = patched(
        tmp_path,
        'target = "StatefulSet"\nname = "store"\njson = [{ op = "replace", path = "/spec/replicas", value = 0 }]',
    )
    assert [after.of("StatefulSet", f"shop-service-{name}")["spec"]["replicas"] for name in ("store", "more")] == [0, 1]


def test_a_merge_finds_items_by_their_names(tmp_path: Path) -> None:
    found = made(tmp_path, EVERYTHING)
    (container,) = found.of("StatefulSet", "market-shop-service-store")["spec"]["template"]["spec"]["containers"]
    assert (container["workingDir"], container["image"]) == ("/data", "redis:7.4")


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ('target = "Deploymnt"\nmerge = {}', "there is no Deploymnt to patch"),
        ('target = "StatefulSet"\nname = "cache"\nmerge = { spec = {} }', "there is no StatefulSet called cache"),
        (
            'target = "Deployment"\njson = [{ op = "test", path = "/spec/revisionHistoryLimit", value = 6 }]',
            "operation 0: the test of /spec/revisionHistoryLimit fails",
        ),
        (
            'target = "Deployment"\njson = [{ op = "remove", path = "/spec/paused" }]',
            "operation 0: there is no /spec/paused",
        ),
        ('target = "Deployment"\nmerge = { spec = { replicas = "3" } }', "spec.replicas is not an integer"),
        ('target = "Deployment"\nmerge = { spec = { template = { spec = { hostNetwerk = true } } } }', "is not known"),
        ('target = "Deployment"\nmerge = { metadata = { name = "other" } }', "changes metadata.name"),
        ('target = "Deployment"\nmerge = { spec = { selector = { matchLabels = { a = "b" } } } }', "spec.selector"),
        (
            'target = "Deployment"\nmerge = { metadata = { labels = { "mcp-pack/tool" = "other" } } }',
            "labels of Deployment shop-cfcdd5cf that prove whose it is",
        ),
        (
            'target = "Deployment"\nmerge = { spec = { template = { spec = { containers = [{ image = "x" }] } } } }',
            "an item of containers has no name",
        ),
        (
            'target = "Deployment"\njson = [{ op = "remove", path = "/spec/template/spec/containers/0" }]',
            "takes the container server away",
        ),
        ('target = "ConfigMap"\nmerge = { immutable = false }', "changes immutable"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_made(tmp_path: Path, patch: str, told: str) -> None:
    (tmp_path / "mcp-tool.toml").write_text(f"{SMALLEST}\n[[target.kubernetes.patches]]\n{patch}\n{STORE}")
    manifest = load(tmp_path, options={"kubernetes": Options})
    problems = target.check(manifest, manifest.targets["kubernetes"])
    assert told in " ".join(problem.what for problem in problems)
    assert {problem.where.key for problem in problems} == {"target.kubernetes.patches[0]"}
    with pytest.raises(UserError):
        _ = made(tmp_path, (tmp_path / "mcp-tool.toml").read_text()).resources


@pytest.mark.parametrize("patch", ['target = "Deployment"', 'target = "Deployment"\njson = []\nmerge = {}\nx = 1'])
def test_a_patch_says_how_it_changes(tmp_path: Path, patch: str) -> None:
    with pytest.raises(UserError, match="patches"):
        patched(tmp_path, patch)


DOCUMENT: Mapping[str, Any] = {"a": {"b": [1, {"c~/": 2}, 3]}, "d": None}


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ({"op": "add", "path": "/a/b/-", "value": 4}, {"a": {"b": [1, {"c~/": 2}, 3, 4]}, "d": None}),
        ({"op": "add", "path": "/a/b/0", "value": 0}, {"a": {"b": [0, 1, {"c~/": 2}, 3]}, "d": None}),
        ({"op": "remove", "path": "/a/b/1/c~0~1"}, {"a": {"b": [1, {}, 3]}, "d": None}),
        ({"op": "replace", "path": "/d", "value": 1}, {"a": {"b": [1, {"c~/": 2}, 3]}, "d": 1}),
        ({"op": "move", "from": "/a/b/2", "path": "/e"}, {"a": {"b": [1, {"c~/": 2}]}, "d": None, "e": 3}),
        ({"op": "copy", "from": "/a/b/0", "path": "/d"}, {"a": {"b": [1, {"c~/": 2}, 3]}, "d": 1}),
        ({"op": "test", "path": "/a/b/1", "value": {"c~/": 2}}, DOCUMENT),
    ],
)
def test_json_patches_do_what_rfc_6902_says(operation: dict[str, Any], result: object) -> None:
    assert applied(copy.deepcopy(DOCUMENT), [operation]) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/a/b/9", "value": 4},
        {"op": "add", "path": "/x/y", "value": 4},
        {"op": "add", "path": "/a/b/01", "value": 4},
        {"op": "remove", "path": "/x"},
        {"op": "remove", "path": ""},
        {"op": "replace", "path": "/x", "value": 1},
        {"op": "move", "from": "/a", "path": "/a/b"},
        {"op": "test", "path": "/a/b/0", "value": True},
        {"op": "add", "path": "/a"},
        {"op": "jump", "path": "/a"},
        {"op": "add", "path": "a", "value": 1},
    ],
)
def test_json_patches_that_do_not_fit_are_refused(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchError):
        applied(copy.deepcopy(DOCUMENT), [operation])


def test_lists_of_named_things_are_merged_by_name() -> None:
    pod = {"containers": [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}]}
    patch = {
        "containers": [
            {"name": "a", "env": [{"name": "Y", "value": "2"}]},
            {"name": "b", "$patch": "delete"},
            {"name": "c"},
        ]
    }
    assert merged(pod, patch) == {
        "containers": [
            {"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]},
            {"name": "c"},
        ]
    }
    assert merged(pod, {"containers": [{"$patch": "replace"}, {"name": "z"}]}) == {"containers": [{"name": "z"}]}
    assert merged({"args": ["a", "b"]}, {"args": ["c"]}) == {"args": ["c"]}
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"$patch": "replace", "d": 3}}) == {"a": {"d": 3}}
    assert merged({"a": 1}, {"a": {"b": None, "c": 2}}) == {"a": {"c": 2}}
    assert merged({"a": {"b": 1}, "c": 2}, {"a": None, "c": {"$patch": "delete"}}) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_a_merge_changes_neither_what_it_is_given_nor_a_second_time(document: Any, patch: Any) -> None:
    given_, wanted = copy.deepcopy(document), copy.deepcopy(patch)
    once = merged(document, patch)
    assert (document, patch) == (given_, wanted)
    assert merged(once, patch) == once
