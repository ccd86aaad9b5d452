"""``mcp-pack check``: is the project sound, and what would its clients notice?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mcp_packager import engine
from mcp_packager.bundle import AuthorFiles, scan_secrets
from mcp_packager.contract import Contract
from mcp_packager.errors import UserError
from mcp_packager.manifest import Manifest
from mcp_packager.pipeline.asking import pushes, questions_without_default
from mcp_packager.pipeline.place import comparison, world_of
from mcp_packager.pipeline.prepare import prepare
from mcp_packager.pipeline.project import Aim, open_project
from mcp_packager.pipeline.requests import CheckReport, Request
from mcp_packager.target import auth_warning, base_config


def check(request: Request) -> CheckReport:
    """Read, lock, import, scan; and compare with the last release of each target that was named.

    Raises:
        UserError: something is wrong with manifest, dependencies, files or code.
        WorldError: the package index or a named target does not answer.
    """
    project = open_project(request)
    manifest = project.manifest
    prepared = prepare(manifest, project.aims, locked=request.locked, progress=request.progress, head=request.head)
    problems = scan_secrets(prepared.author, manifest.tool.allow)
    if problems:
        raise UserError(problems)
    comparisons = tuple(
        comparison(aim.name, engine.current(world_of(manifest, aim, progress=request.progress)), prepared.contract)
        for aim in (project.aims if request.targets else ())
    )
    document = prepared.contract.document
    return CheckReport(
        name=manifest.tool.name,
        version=manifest.tool.version,
        stage=manifest.stage,
        contract_hash=prepared.contract.hash,
        tools=_called(document, "tools", "name"),
        resources=(*_called(document, "resources", "uri"), *_called(document, "templates", "uriTemplate")),
        prompts=_called(document, "prompts", "name"),
        notes=(*_notes(manifest, prepared.contract, prepared.author), *_exposed(manifest, project.aims)),
        comparisons=comparisons,
    )


def _called(document: Mapping[str, Any], section: str, key: str) -> tuple[str, ...]:
    """What clients know each of a kind by."""
    return tuple(item[key] for item in document[section])


def _notes(manifest: Manifest, contract: Contract, author: AuthorFiles) -> Iterator[str]:
    """What is not wrong but worth knowing before a deploy."""
    if author.untracked:
        yield f"files that git does not track go along: {', '.join(author.untracked)}"
    # Of another library's server nobody can say beforehand which tools ask, but where its source does.
    yield from _pushing(author) if ":" in manifest.tool.entrypoint else _asking(contract, author)
    declared = set(manifest.secrets)
    for tool in contract.document["tools"]:
        missing = sorted(set(tool.get("secrets", ())) - declared)
        if missing:
            yield f"{tool['name']} names secrets that [secrets] does not declare: {', '.join(missing)}"
    if not manifest.verify:
        yield "no [[verify.call]]: a deploy checks that the contract is served, but calls no tool"


def _exposed(manifest: Manifest, aims: Sequence[Aim]) -> Iterator[str]:
    """Where nobody is asked who is calling although more than this machine can."""
    for aim in aims:
        exposure = aim.target.exposure(manifest, aim.options)
        if warning := auth_warning(base_config(manifest, aim.name, exposure)["serve"]["auth"], exposure):
            yield f"{aim.name}: {warning}"


def _asking(contract: Contract, author: AuthorFiles) -> Iterator[str]:
    asking = [tool["name"] for tool in contract.document["tools"] if tool.get("asks")]
    if not asking:
        return
    yield (
        f"tools that ask the user: {', '.join(asking)}; over HTTP a client of the older era cannot be asked and "
        "gets the question's default, else an error that says why"
    )
    without = questions_without_default(author)
    if without:
        yield f"questions without a default, so that such a call fails: {', '.join(without)}"


def _pushing(author: AuthorFiles) -> Iterator[str]:
    """Where a wrapped server asks its client in a way that no connection over HTTP carries."""
    found = pushes(author)
    if not found:
        return
    from mcp_tool.serve.sdk import pushed  # the runtime's own words, as the caller of such a tool reads them

    forms = {"fastmcp": pushed.FASTMCP, "mcp": pushed.SDK}
    for push in found:
        yield (
            f"{push.file}:{push.line}: {push.call} sends {push.method} in the middle of a call, which fails over HTTP; "
            f"the portable form is {forms[push.library][push.method]}"
        )
