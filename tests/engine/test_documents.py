"""Documents that outlive a run are read by every later version; those of a later version are refused with the fix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.errors import WorldError
from mcp_packager.target import (
    Artifact,
    Generated,
    Key,
    Outcome,
    Ref,
    Release,
    Unknown,
    canonical,
    decode,
    digest,
    encode,
    write_artifact,
)
from mcp_tool import config

COMPAT = Path(__file__).parents[1] / "compat"


def frozen(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((COMPAT / name).read_text())
    return document


def test_an_artifact_of_schema_1() -> None:
    document = frozen("artifact.1.json")
    artifact = Artifact.from_json(document)
    assert artifact.platform == "3.13-x86_64-manylinux_2_28"
    assert artifact.as_json() == document


def test_a_release_of_schema_1() -> None:
    document = frozen("release.1.json")
    release = Release.from_json(document)
    assert (release.number, release.outcome, release.rollback_of) == (7, Outcome.DEPLOYED, 5)
    server = release.intent.resources[2]
    assert server.fields["bundle"] == Ref(Key("bundle", "0123456789abcdef"), "path")
    assert server.fields["port"] == Generated("port")
    assert server.needs == {Key("home", "home"), Key("bundle", "0123456789abcdef")}
    assert release.as_json() == document
    assert json.loads(json.dumps(document)) == document


def test_a_fingerprint_does_not_change_between_versions() -> None:
    # A new fingerprint for an old wish would make every deployment look changed after an upgrade.
    release = Release.from_json(frozen("release.1.json"))
    assert release.intent.fingerprint == "4a5c65506e24848b1c5d917e1c105e1b79491b9465f6aef725976c5712446df1"


def test_a_config_of_schema_1_is_read_by_the_runtime() -> None:
    document = frozen("config.1.json")
    read = config.parse(document)
    assert read.serve.drain_delay == 0.3
    assert str(read.secret("TOKEN")) == "file /somewhere/TOKEN"


@pytest.mark.parametrize(
    ("name", "read"), [("artifact.1.json", Artifact.from_json), ("release.1.json", Release.from_json)]
)
def test_what_a_newer_version_wrote_is_refused_with_the_fix(name: str, read: Any) -> None:
    document = frozen(name) | {"schema": 2}
    with pytest.raises(WorldError, match="newer mcp-pack") as caught:
        read(document)
    assert "install the mcp-pack version that wrote it" in str(caught.value)
    for nonsense in (None, "1", True, 0):
        with pytest.raises(WorldError, match="no schema number"):
            read(document | {"schema": nonsense})


def test_an_artifact_is_written_the_same_each_time(tmp_path: Path) -> None:
    artifact = Artifact.from_json(frozen("artifact.1.json"))
    first = write_artifact(artifact, tmp_path / "a").read_bytes()
    assert write_artifact(artifact, tmp_path / "b").read_bytes() == first
    assert json.loads(first) == artifact.as_json()


@pytest.mark.parametrize(
    "value",
    [
        {"$ref": ["a", "b", "c"]},
        {"$$ref": 1, "$": 2, "plain": {"$generated": "x"}},
        Ref(Key("a", "b"), "c"),
        [Generated("port"), {"deep": Ref(Key("a", "b"), "c")}],
        Unknown("later"),
        {"ünï": [1, 2.5, None, True, "x"]},
    ],
)
def test_values_survive_json_whatever_the_author_calls_his_keys(value: Any) -> None:
    assert decode(json.loads(json.dumps(encode(value)))) == value


def test_one_spelling_whatever_the_order() -> None:
    assert canonical({"b": 1, "a": [Ref(Key("x", "y"), "z")]}) == b'{"a":[{"$ref":["x","y","z"]}],"b":1}'
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
