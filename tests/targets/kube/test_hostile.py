"""Values that a reader of YAML or a template could take for something else come back as they were written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_packager.yaml import yaml_text
from mcp_targets._kube.emitting import write_files
from mcp_targets._kube.holes import Holes, unused
from tests.targets.kube.samples import SMALLEST, Made, made, yaml
from tests.targets.kube.test_emitted import keyed, told

HOSTILE = (
    *(
        "y",
        "n",
        "yes",
        "no",
        "on",
        "off",
        "true",
        "null",
        "~",
        "",
        " ",
        "1e3",
        "1234e56",
        "0o17",
        "0x1f",
        "010",
        "1_000",
    ),
    *("2026-11-21", "12:30:45", ".inf", ".nan", "-", "- a", "a: b", "a #b", "'", '"', "\\", "\\n", "a\nb", "\ttab"),
    *("{{ .Values.x }}", "{{", "}}", "{{{}}}", "{}", '{{ "', "${HOME}", "$(id)", "`id`", "%s", "&a", "*a", "!!int 1"),
    *("|", ">", "@", "---", "...", "é", "\u2028", "\U0001f600", "\u202e", "a\u0085b", "mark0-text-000-end"),
)
"""Each would be another value, another type or an order for somebody, if it stood there bare."""

WRITABLE = [text for text in HOSTILE if not {"\u0085", "\u2028"} & set(text)]
"""Those that a manifest takes as a value of ``[env]``."""


def project(folder: Path) -> Made:
    env = "\n".join(f"V{number} = {json.dumps(text, ensure_ascii=False)}" for number, text in enumerate(WRITABLE))
    store = f'[services.store]\nimage = "redis:7"\nports = [6379]\n[services.store.env]\n{env}\n'
    return made(folder, f"{SMALLEST}\n[env]\n{env}\n{store}")


def held(objects: dict[tuple[str, str], dict[str, Any]]) -> tuple[list[str], list[str]]:
    """The values as the tool's config and as the service's environment have them."""
    (config,) = (item for (kind, _), item in objects.items() if kind == "ConfigMap")
    (store,) = (item for (kind, _), item in objects.items() if kind == "StatefulSet")
    env = json.loads(config["data"]["config.json"])["env"]
    variables = {one["name"]: one["value"] for one in store["spec"]["template"]["spec"]["containers"][0]["env"]}
    names = [f"V{number}" for number in range(len(WRITABLE))]
    return [env[name] for name in names], [variables[name] for name in names]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("hostile")
    found = project(place / "project")
    (place / "out").mkdir()
    write_files(found.request, found.site, place / "out")
    return place / "out"


def test_plain_yaml_gives_them_back(folder: Path) -> None:
    text = "---\n".join(path.read_text(encoding="utf-8") for path in sorted((folder / "manifests").iterdir()))
    assert held(keyed(text)) == (WRITABLE, WRITABLE)


@pytest.mark.real("kubernetes")
def test_kustomize_gives_them_back(folder: Path) -> None:
    assert held(keyed(told("kubernetes", "kubectl", "kustomize", folder / "kustomize"))) == (WRITABLE, WRITABLE)


@pytest.mark.real("helm")
def test_helm_gives_them_back(folder: Path) -> None:
    said = told("helm", "template", "release", folder / "chart", "--namespace", "mcp-tools")
    assert held(keyed(said)) == (WRITABLE, WRITABLE)


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
VALUE = TEXT | st.sampled_from(HOSTILE) | st.integers() | st.booleans() | st.lists(TEXT, max_size=3)
DOCUMENT = st.dictionaries(TEXT, VALUE, min_size=1, max_size=5)


@given(DOCUMENT)
def test_whatever_is_written_is_read_back(document: dict[str, Any]) -> None:
    assert yaml.safe_load(yaml_text(document)) == document


@pytest.mark.real("helm")
def test_a_part_of_a_text_is_what_it_stands_for(tmp_path: Path) -> None:
    holes = Holes(unused("mark0 mark1"))
    mark = holes.text(".Release.Namespace")
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(yaml_text({"apiVersion": "v2", "name": "a", "version": "1.0.0"}))
    data = {"a": f"{{{{{mark}}}}}", "b": "mark0-text-000-end"}
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}
    (chart / "templates" / "a.yaml").write_text(holes.filled(document))
    said = yaml.safe_load(told("helm", "template", "a", chart, "--namespace", "here"))
    assert said["data"] == {"a": "{{here}}", "b": "mark0-text-000-end"}
