"""What each command prints for a result of the pipeline, as text and as a document, and how it exits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from mcp_packager.cli.root import root
from mcp_packager.pipeline.reports import (
    DeployReport,
    DestroyReport,
    DriftReport,
    HistoryLine,
    InvokeReport,
    LockReport,
    NewKey,
    PlanReport,
    PushReport,
    SecretLine,
    StatusReport,
)
from mcp_packager.pipeline.requests import (
    BuildReport,
    ChangeLine,
    CheckReport,
    Comparison,
    Request,
)

Patch = Callable[[str, object], None]

COMPARED = Comparison(
    "local", 3, (ChangeLine("tool", "b", False, "added"), ChangeLine("tool", "a", True, "argument `x` is required now"))
)
DEPLOYED = DeployReport(
    target="local",
    stage="default",
    changed=True,
    release=4,
    version="1.2.0",
    digest="sha256:" + "d" * 64,
    contract_hash="c" * 64,
    endpoint={"url": "http://127.0.0.1:8000/mcp"},
    verified=("contract", "call word_count"),
    unverified=("public address",),
    notes=("the token is in the keyring",),
)
RELEASES = (
    HistoryLine(3, "1.1.0", "sha256:" + "a" * 64, "b" * 64, "2026-11-20T10:00:00Z", "ann", "ok", False),
    HistoryLine(4, "1.2.0", "sha256:" + "d" * 64, "c" * 64, "2026-11-21T10:00:00Z", "ann", "ok", True),
)
STATUS = StatusReport(
    "local", "default", "running", 4, "1.2.0", "d", "c", {"command": ["uvx", "a b"]}, 3725.0, 0, ("healthy",)
)
CHECKED = CheckReport("notes", "1.2.0", "default", "c" * 64, ("a", "b"), (), ("p",), ("b has no title",), (COMPARED,))
PLANNED = PlanReport("local", "default", {"changes": []}, "update process notes", True, COMPARED)
DRIFTED = DriftReport("local", "default", 4, "process notes is gone", True, {"changes": []})
BUILT = BuildReport(
    "local",
    Path("dist/local"),
    {"kind": "folder", "path": "bundle", "size": 3_670_016},
    (Path("dist/local/notes.whl"),),
    ("draft.py",),
    {"resolve": 0.5},
)


IMAGE = {"type": "image", "mimeType": "image/png", "data": "AAAA"}


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> Patch:
    def replace(where: str, result: object) -> None:
        monkeypatch.setattr(f"mcp_packager.pipeline.{where}", result if callable(result) else lambda *_, **__: result)

    return replace


def call(*arguments: str, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(root, list(arguments), input=stdin)
    if result.exception is not None and not isinstance(result.exception, (SystemExit, click.exceptions.Exit)):
        raise result.exception
    return result


# Command, the pipeline's function, its result, what the text says, the document's keys, the exit code.
CASES: list[tuple[list[str], str, object, list[str], set[str], int]] = [
    (
        ["lock"],
        "lock.lock",
        LockReport(Path("mcp-tool.lock"), True, 2, ("3.11-x",), {"a": (None, "1"), "b": ("1", "2"), "c": ("1", None)}),
        ["mcp-tool.lock written: 2 packages for 3.11-x", "+ a 1", "~ b 1 -> 2", "- c 1"],
        {"lock"},
        0,
    ),
    (
        ["check"],
        "check.check",
        CHECKED,
        ["notes 1.2.0 is sound", "a, b", "note: b has no title", "BREAKING  tool a: argument", "harmless  tool b"],
        {"check"},
        0,
    ),
    (
        ["build", "--timings"],
        "build.build",
        (BUILT,),
        ["local: folder bundle (3.5 MiB)", "dist/local/notes.whl", "resolve 0.50 s", "draft.py"],
        {"builds"},
        0,
    ),
    (["plan"], "deploy.plan", (PLANNED,), ["update process notes", "BREAKING"], {"plans", "changes_due"}, 0),
    (["plan", "--exit-code"], "deploy.plan", (PLANNED,), [], {"plans", "changes_due"}, 4),
    (
        ["deploy"],
        "deploy.deploy",
        (DEPLOYED,),
        ["release 4, version 1.2.0", "http://127.0.0.1:8000/mcp", "not verified: public address", "keyring"],
        {"deployments"},
        0,
    ),
    (
        ["status"],
        "operate.status",
        (STATUS,),
        ["running", "1h 2m", "uvx 'a b'", "local: healthy"],
        {"deployments"},
        0,
    ),
    (["history"], "operate.history", {"local": RELEASES, "eks": ()}, ["4*", "eks: no release yet"], {"releases"}, 0),
    (["drift"], "operate.drift", (DRIFTED,), ["release 4", "process notes is gone"], {"drifted", "deployments"}, 4),
    (["rollback", "--yes"], "operate.rollback", (DEPLOYED,), ["release 4"], {"deployments"}, 0),
    (
        ["destroy", "--yes"],
        "operate.destroy",
        (DestroyReport("local", "default", ("process",), ("volume data",)), DestroyReport("eks", "default", (), ())),
        ["removed process", "kept volume data", "eks (default): there was nothing to remove"],
        {"deployments"},
        0,
    ),
    (
        ["unlock", "--yes"],
        "operate.unlock",
        {"local": "ann@box since 10:00", "eks": None},
        ["took the lock from ann@box since 10:00", "eks: nobody held the lock"],
        {"holders"},
        0,
    ),
    (
        ["secrets"],
        "secrets.listing",
        (SecretLine("KEY", "env:KEY", True, False, "A key"), SecretLine("B", "aws-sm:b", False, None, "")),
        ["env:KEY", "required", "not known from here"],
        {"secrets"},
        0,
    ),
    (
        ["secrets", "push", "TOKEN"],
        "secrets.push",
        (PushReport("local", "default", 4, ("TOKEN", "OTHER")),),
        ["local (default): delivered anew to release 4: TOKEN, OTHER"],
        {"pushed"},
        0,
    ),
    (["secrets", "new-key"], "secrets.new_key", NewKey("abc", "sha256:def"), ["abc\nsha256:def\n"], {"key", "hash"}, 0),
    (["secrets", "list"], "secrets.listing", (), ["declares no secrets"], {"secrets"}, 0),
    (
        ["targets", "--support"],
        "schema.support",
        {"env": {"local": "honours", "eks": "maps: ConfigMap"}, "permissions": {"local": "refuses: no cloud"}},
        ["honours", "maps: ConfigMap", "refuses: no cloud"],
        {"support"},
        0,
    ),
    (["schema"], "schema.schema", {"$schema": "x", "type": "object"}, ['"$schema": "x"'], {"json_schema"}, 0),
    (
        ["invoke", "t", "a=1", "b:=2"],
        "invoke.invoke",
        InvokeReport("t", {"content": [{"type": "text", "text": "42"}]}, False),
        ["42"],
        {"invoke"},
        0,
    ),
    (
        ["invoke", "t"],
        "invoke.invoke",
        InvokeReport("t", {"isError": True, "content": [{"type": "text", "text": "no such note"}]}, True),
        ["no such note"],
        {"invoke"},
        1,
    ),
]


@pytest.mark.parametrize(
    ("arguments", "where", "result", "said", "keys", "code"),
    CASES,
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value)[:25],
)
def test_text_and_document(
    arguments: list[str], where: str, result: object, said: list[str], keys: set[str], code: int, patch: Patch
) -> None:
    patch(where, result)
    shown = call(*arguments)
    assert shown.exit_code == code
    for part in said:
        assert part in shown.output
    document = call(*arguments, "--json")
    assert document.exit_code == code
    loaded = json.loads(document.stdout)
    assert loaded["schema"] == 1
    assert " ".join(arguments).startswith(loaded["command"])
    assert loaded.keys() - {"schema", "command"} == keys
    quiet = call(*arguments, "--quiet")
    assert quiet.stderr == ""
    assert quiet.exit_code == code


@pytest.mark.parametrize(("code", "ours"), [(0, 0), (1, 1), (2, 130), (3, 3), (4, 2)])
def test_pytests_exit_code_becomes_ours(code: int, ours: int, patch: Patch) -> None:
    seen: list[tuple[str, ...]] = []

    def test(_request: Request, *, arguments: tuple[str, ...]) -> int:
        seen.append(arguments)
        return code

    patch("test.test", test)
    assert call("test", "--json", "--", "-k", "one").exit_code == ours
    assert seen == [("-k", "one")]


def test_the_request_carries_what_was_typed(patch: Patch) -> None:
    seen: list[Request] = []

    def build(request: Request, *, output: Path | None, push: str | None) -> tuple[BuildReport, ...]:
        seen.append(request)
        assert (output, push) == (Path("out"), None)
        return ()

    patch("build.build", build)
    call(
        "build",
        "--project",
        "p",
        "--stage",
        "prod",
        "--target",
        "b",
        "--target",
        "a",
        "--target",
        "b",
        "--locked",
        "--output",
        "out",
    )
    (request,) = seen
    assert (request.project, request.stage, request.targets, request.locked) == (Path("p"), "prod", ("b", "a"), True)
    call("build", "--output", "out")
    assert (seen[1].project, seen[1].stage, seen[1].targets, seen[1].locked) == (Path(), "default", (), False)


def test_invoke_passes_arguments_and_token(patch: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def invoke(_request: Request, **given: Any) -> InvokeReport:
        seen.append(given)
        return InvokeReport("t", {"structuredContent": {"result": 3}, "content": []}, False)

    patch("invoke.invoke", invoke)
    monkeypatch.setenv("THE_TOKEN", "hunter2")
    monkeypatch.setenv("THE_SECRET", "swordfish")
    shown = call("invoke", "t", "a=1", "b:=[2]", "c=x=y", "--url", "https://s/mcp", "--token-env", "THE_TOKEN")
    assert shown.output == "3\n"
    assert seen[0]["arguments"] == {"a": "1", "b": [2], "c": "x=y"}
    assert seen[0]["headers"] == {"Authorization": "Bearer hunter2"}
    assert seen[0]["credentials"] is None
    call("invoke", "t", "--input", "-", "--client-id", "me", "--client-secret-env", "THE_SECRET", stdin='{"n": 1}')
    assert seen[1]["arguments"] == {"n": 1}
    assert seen[1]["credentials"].client_secret == "swordfish"
    assert "swordfish" not in repr(seen[1])


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"structuredContent": {"result": "plain"}, "content": []}, "plain"),
        ({"structuredContent": {"a": 1, "b": [2]}, "content": []}, '{\n  "a": 1,\n  "b": [\n    2\n  ]\n}'),
        (
            {"content": [{"type": "text", "text": "a"}, {"type": "image", "mimeType": "image/png", "data": "AAAA"}]},
            "a\n[image image/png, 3 bytes]",
        ),
        ({"content": [{"type": "resource_link", "name": "n", "uri": "x:y"}]}, "[n: x:y]"),
        ({"content": [{"type": "new", "x": 1}]}, '{"type": "new", "x": 1}'),
        ({}, ""),
    ],
)
def test_an_answer_reads_well(result: dict[str, Any], text: str, patch: Patch) -> None:
    patch("invoke.invoke", InvokeReport("t", result, False))
    assert call("invoke", "t").output == f"{text}\n"


def test_logs_go_on_line_by_line(patch: Patch) -> None:
    def logs(_request: Request, *, lines: int, follow: bool) -> Iterator[str]:
        assert (lines, follow) == (5, True)
        yield from ("one\n", "two")

    patch("operate.logs", logs)
    assert call("logs", "-n", "5", "-f").output == "one\ntwo\n"
    documents = [json.loads(line) for line in call("logs", "-n", "5", "-f", "--json").stdout.splitlines()]
    assert documents == [{"schema": 1, "command": "logs", "line": line} for line in ("one", "two")]


def test_doctor_names_what_each_thing_is_for() -> None:
    shown = call("doctor", "--json")
    document = json.loads(shown.stdout)
    names = [finding["name"] for finding in document["findings"]]
    assert names == ["Python", "interpreters", "uv", "git", "containers", "cache folder", "home folder"]
    assert all(finding["needed_for"] for finding in document["findings"])
    assert shown.exit_code == (0 if document["sound"] else 3)


def test_doctor_finds_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MCP_PACK_HOME", str(tmp_path / "file" / "home"))
    shown = call("doctor")
    assert shown.exit_code == 3
    assert "broken" in shown.output
    assert "MCP_PACK_HOME" in shown.output


def test_cache_prune(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MCP_PACK_CACHE", str(tmp_path))
    assert call("cache", "prune").output == "deleted 0 entries (0 bytes), kept 0 (0 bytes)\n"
    assert json.loads(call("cache", "prune", "--json").stdout)["prune"]["removed"] == 0


def test_new_writes_a_project_and_says_what_to_type(
    tmp_path: Path, patch: Patch, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch("schema.schema", {"title": "manifest"})
    monkeypatch.chdir(tmp_path)
    shown = call("new", "word-tools")
    assert (
        "next:\n  cd word-tools\n  mcp-pack check\n  mcp-pack deploy --target local\n  mcp-pack invoke" in shown.output
    )
    assert json.loads((tmp_path / "word-tools" / ".mcp-pack" / "mcp-tool.schema.json").read_text()) == {
        "title": "manifest"
    }
    document = json.loads(call("new", "other", "--project", "elsewhere/here", "--no-git", "--json").stdout)
    assert document["project"]["folder"] == "elsewhere/here"
    assert (tmp_path / "elsewhere" / "here" / "mcp-tool.toml").is_file()


def test_new_writes_here_when_here_is_said(tmp_path: Path, patch: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    patch("schema.schema", {})
    monkeypatch.chdir(tmp_path)
    assert call("new", "word-tools", "--project", ".", "--no-git").exit_code == 0
    assert (tmp_path / "mcp-tool.toml").is_file()
    assert not list(tmp_path.glob(".mcp-pack-new-*"))


def test_new_says_what_its_folder_is_and_quietly_nothing_else(
    tmp_path: Path, patch: Patch, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch("schema.schema", {})
    monkeypatch.chdir(tmp_path)
    assert call("new", "word-tools", "--no-git", "--quiet").output == "word-tools\n"
    assert "The folder to make." in call("new", "--help").output
    assert "The folder to make." not in call("check", "--help").output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    assert "_MCP_PACK_COMPLETE" in call("completion", shell).output
    assert json.loads(call("completion", shell, "--json").stdout)["shell"] == shell
