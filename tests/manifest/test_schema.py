"""The JSON Schema: current, valid, taken by an editor's validator, and of one mind with the loader."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tomli
from jsonschema import Draft7Validator, Draft202012Validator
from pydantic import BaseModel

from mcp_packager.errors import UserError
from mcp_packager.manifest import load
from mcp_packager.manifest.schema import json_schema, portable_keys
from mcp_packager.registry import targets as registered
from tests import real_parts

from .conftest import OPTIONS, Project
from .samples import EVERYTHING, SMALLEST

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "mcp-tool.schema.json"
EXAMPLES = sorted((ROOT / "examples").glob("*/mcp-tool.toml"))


def options() -> dict[str, type[BaseModel]]:
    """Of the targets that come with mcp-pack."""
    return {
        name: registered.load(name).about.options
        for name in registered.names()
        if type(registered.load(name)).__module__.startswith("mcp_targets.")
    }


def with_sample_options() -> Draft7Validator:
    return Draft7Validator(json_schema(OPTIONS))


# Files that the schema itself can refuse; the loader must refuse them too.
BAD = [
    "[tool]\nname = 'x'\n",
    "[env]\nA = '1'\n",
    SMALLEST + "nme = 1\n",
    SMALLEST.replace("word-count", "Word Count"),
    SMALLEST.replace("word-count", "a" * 41),
    SMALLEST.replace('"server"', '"src/server.py"'),
    SMALLEST + "include = ['/etc']\n",
    SMALLEST + "bytecode = 1\n",
    SMALLEST + 'title = "a\\nb"\n',
    SMALLEST + "[[tool.allow]]\npath = 'x'\n",
    SMALLEST + "[env]\nPORT = '1'\n",
    SMALLEST + "[env]\n1A = '1'\n",
    SMALLEST + "[env]\nA = []\n",
    SMALLEST + "[secrets.A]\nfrom = 'nowhere:x'\n",
    SMALLEST + "[secrets.A]\nas = 'pipe'\n",
    SMALLEST + "[services.db]\nports = [1]\n",
    SMALLEST + "[services.db]\nexternal = 'x'\n",
    SMALLEST + "[services.db]\nexternal = 'x:1'\nports = [70000]\n",
    SMALLEST + "[services.db]\nexternal = 'x:1'\nvolume = { size = '1Gi' }\n",
    SMALLEST + "[[permissions.aws]]\nactions = ['*']\n",
    SMALLEST + "[[permissions.egress]]\nports = [1]\n",
    SMALLEST + "[[permissions.egress]]\nhost = 'a'\ncidr = '10.0.0.0/8'\n",
    SMALLEST + "[serve]\npath = 'mcp'\n",
    SMALLEST + "[serve]\ntimeout = '5 minutes'\n",
    SMALLEST + "[serve]\nconcurrency = 0\n",
    SMALLEST + "[serve.auth]\nmode = 'basic'\n",
    SMALLEST + "[serve.auth]\nmode = 'bearer'\n",
    SMALLEST + "[serve.auth]\nmode = 'none'\nkeys = ['A']\n",
    SMALLEST + "[serve]\nmax_body = 'much'\n",
    SMALLEST + "[serve]\ntrusted_proxies = ['everywhere']\n",
    SMALLEST + "[serve]\nevents = 'kafka://x'\n",
    SMALLEST + "[serve]\nrate = { per = '1m' }\n",
    SMALLEST + "[serve.metrics]\nport = 0\n",
    SMALLEST + "[serve.telemetry]\nsample = 1.0\n",
    SMALLEST + "[serve.telemetry]\notlp = 'http://c'\nsample = 2\n",
    SMALLEST + "[serve.audit]\nto = 'disk'\n",
    SMALLEST + "[verify]\nvia = 'vpn'\n",
    SMALLEST + "[resources]\nmemory = '512 MB'\n",
    SMALLEST + "[scale]\ncpu = 101\n",
    SMALLEST + "[[verify.call]]\narguments = {}\n",
    SMALLEST + "[verify]\ncalls = []\n",
    SMALLEST + "[pin]\naws_account = '1'\n",
    SMALLEST + "[target.moon]\nx = 1\n",
    SMALLEST + "[target.local]\nprot = 1\n",
    SMALLEST + "[target.local]\nport = 0\n",
    SMALLEST + "[stage.prod.tool]\nname = 'y'\n",
    SMALLEST + "[stage.prod.tool]\ndependencies = []\n",
    SMALLEST + "[secrets.A]\n[stage.prod.secrets.A]\nas = 'file'\n",
    SMALLEST + "[stage.prod.target.local]\nbase = 'x'\n",
    SMALLEST + "[stage.prod.stage.x]\n",
    SMALLEST + "[stage.prod.serve]\ntimout = 1\n",
    SMALLEST + "[stage.Prod]\n",
    SMALLEST + "[stage.default]\n",
    SMALLEST + "[[stage.prod.verify.call]]\narguments = {}\n",
]

GOOD = [
    SMALLEST,
    EVERYTHING,
    SMALLEST + "[stage.prod]\n",
    SMALLEST + "[services.db]\nimage = 'x'\nports = [1]\n[stage.prod.services.db]\ncommand = ['y']\n",
    SMALLEST + "[serve.auth]\nmode = 'oidc'\nissuer = 'https://a.example'\n[stage.qa.serve.auth]\naudience = 'q'\n",
    SMALLEST + "[secrets.A]\n[stage.prod.secrets.A]\nfrom = 'k8s:ns/secret/key'\n",
    SMALLEST
    + "[serve]\nmetrics = {}\naudit = {}\nmax_body = 4096\ntelemetry = { otlp = 'http://c:4318', sample = 1 }\n",
    SMALLEST
    + "[serve]\nevents = 'rediss://h:6380/1'\nrate = { calls = 1, shared = true }\n[stage.a.serve]\nrate.burst = 2\n",
    SMALLEST + "[serve]\ntimeout = 5\ndrain = 0\n[resources]\ncpu = 2\nmemory = 536870912\n",
]


def test_the_committed_schema_is_current() -> None:
    current = json.dumps(json_schema(options()), indent=2, ensure_ascii=False) + "\n"
    assert json.loads(COMMITTED.read_text("utf-8")) == json.loads(current), "write it anew: mcp-pack schema"


@pytest.mark.parametrize("validator", [Draft7Validator, Draft202012Validator])
def test_it_is_a_schema(validator: Any) -> None:
    validator.check_schema(json.loads(COMMITTED.read_text("utf-8")))


def test_every_reference_leads_somewhere_and_nothing_is_left_over() -> None:
    text = COMMITTED.read_text("utf-8")
    schema = json.loads(text)
    used = {part.split('"')[0] for part in text.split('"#/definitions/')[1:]}
    assert used == set(schema["definitions"])
    assert "x-mcp-pack" not in text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.parent.name))
def test_every_example_is_valid(path: Path) -> None:
    document = tomli.loads(path.read_text("utf-8"))
    assert [error.message for error in Draft7Validator(json.loads(COMMITTED.read_text())).iter_errors(document)] == []
    assert load(path.parent, options=options()).tool.name == path.parent.name


@pytest.mark.parametrize("text", GOOD)
def test_schema_and_loader_take_the_same(project: Project, text: str) -> None:
    assert [error.message for error in with_sample_options().iter_errors(tomli.loads(text))] == []
    project.load(text)


@pytest.mark.parametrize("text", BAD)
def test_schema_and_loader_refuse_the_same(project: Project, text: str) -> None:
    assert not with_sample_options().is_valid(tomli.loads(text)), "the schema takes it"
    with pytest.raises(UserError):
        project.load(text)


@pytest.mark.real("node")
@pytest.mark.real("node-modules")
def test_an_editors_validator_agrees(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(json_schema(OPTIONS)))
    bad = BAD[::3]
    for kind, texts in (("good", GOOD), ("bad", bad)):
        for number, text in enumerate(texts):
            (tmp_path / f"{kind}-{number:02}.toml").write_text("#:schema ./schema.json\n" + text)
    linted = subprocess.run(
        [str(real_parts.node()), str(real_parts.node_modules() / ".bin" / "taplo"), "lint", *_names(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    refused = {line.split("/")[-1].strip('"') for line in linted.stderr.splitlines() if "invalid file" in line}
    assert refused == {f"bad-{number:02}.toml" for number in range(len(bad))}, linted.stderr[-2000:]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.toml"))


def test_portable_keys_are_what_targets_answer_for() -> None:
    keys = portable_keys()
    assert {
        "env",
        "secrets.from",
        "services.image",
        "permissions.aws",
        "serve.auth",
        "scale.min",
        "verify.call",
    } <= set(keys)
    assert not [key for key in keys if key.startswith(("tool", "target", "stage"))]
    for name in options():
        assert set(registered.load(name).about.support) == set(keys)
