"""Artifacts on their way to a deploy: just built, or built before and taken as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.bundle import Bundle
from mcp_packager.contract import Contract
from mcp_packager.errors import Place, Problem, UsageError, UserError
from mcp_packager.files import write_atomic
from mcp_packager.interpreters import Interpreter
from mcp_packager.pipeline.prepare import refuse
from mcp_packager.pipeline.project import Aim, Project
from mcp_packager.platforms import Platform
from mcp_packager.progress import Progress
from mcp_packager.target import ARTIFACT_FILE, Artifact, Based, Hosts, Takes, found_artifact, held_contract

if TYPE_CHECKING:
    from mcp_packager.image import Found
    from mcp_packager.manifest import Manifest

CONTRACT_FILE: Final = "contract.json"
"""What an artifact shows its clients, beside ``artifact.json``: an unrebuilt deploy compares by it."""

_DIGEST: Final = "@sha256:"


@dataclass(frozen=True)
class Built:
    """One target's artifact, built just now, with what it was made of."""

    aim: Aim
    artifact: Artifact
    contract: Contract
    folder: Path
    bundles: dict[Platform, Bundle]
    interpreters: Mapping[Platform, Interpreter]


@dataclass(frozen=True)
class Taken:
    """One target's artifact that was built before; ``folder`` is ``None`` for an image in a registry.

    What it was made of is not known any more, and not needed. ``contract`` is ``None`` for an image that mcp-pack
    did not make: what it shows is read while it is a candidate.
    """

    aim: Aim
    artifact: Artifact
    contract: Contract | None
    folder: Path | None
    bundles: Mapping[Platform, Bundle] = field(default_factory=dict)
    interpreters: Mapping[Platform, Interpreter] = field(default_factory=dict)


Ready = Built | Taken
"""What can be deployed."""


def write_contract(document: Mapping[str, Any], folder: Path) -> None:
    """Put the contract beside an artifact, without each era's ready answers, which are inside."""
    text = json.dumps(held_contract(document), indent=1, ensure_ascii=False)
    write_atomic(folder / CONTRACT_FILE, text.encode() + b"\n", durable=False)


def taken(project: Project, what: str, *, progress: Progress) -> Taken:
    """An artifact that was built before, for the one target that the command is about.

    Args:
        project: whose manifest and stage say how it is to run.
        what: the file ``artifact.json``, the folder that holds it, or an image in a registry by digest.
        progress: told what takes time.

    Raises:
        UserError: there is no such artifact, or it does not fit this project or target.
        UsageError: it is for one target, and there are several; or the target takes none.
        WorldError: a registry cannot be reached.
    """
    found = _in_registry(project, what, progress) if _DIGEST in what else _in_folder(project, Path(what))
    refuse(project.manifest, [found.aim])
    problems = tuple(_unfit(project.manifest, found))
    if problems:
        raise UserError(problems)
    return found


def _in_folder(project: Project, place: Path) -> Taken:
    file = place / ARTIFACT_FILE if place.is_dir() else place
    artifact = Artifact.from_json(_document(file), where=str(file))
    contract = Contract.from_document(_document(file.with_name(CONTRACT_FILE)))
    aims = [aim for aim in project.aims if aim.name == artifact.target] or list(project.aims)
    aim = _only(aims)
    ready = _taking(aim).taken(artifact, project.manifest, aim.options)
    return Taken(aim, ready, contract, file.parent)


def _in_registry(project: Project, name: str, progress: Progress) -> Taken:
    from mcp_packager.image import contract_in, find, parse

    images = [aim for aim in project.aims if isinstance(aim.target, Takes) and isinstance(aim.target, Based)]
    aim = _only(images or list(project.aims))
    target = _taking(aim)
    with progress.stage("artifact"):
        found = find(parse(name, key="artifact").untagged)
        document = contract_in(found)
    if document is None:
        return _hosted(project.manifest, aim, found)
    contract = Contract.from_document(document)
    artifact = found_artifact(
        aim.name, found, tool=found.tool or "", version=found.version or "", contract_hash=contract.hash
    )
    return Taken(aim, target.taken(artifact, project.manifest, aim.options), contract, None)


def _hosted(manifest: Manifest, aim: Aim, found: Found) -> Taken:
    """An image that mcp-pack did not make. It is of the tool and version that the manifest says."""
    if not isinstance(aim.target, Hosts):
        raise UserError(
            Problem(
                f"{found.reference} was not made by mcp-pack, and the target {aim.name} runs no other images",
                "build it with mcp-pack",
            )
        )
    tool = manifest.tool
    artifact = found_artifact(aim.name, found, tool=tool.name, version=tool.version, contract_hash="")
    return Taken(aim, aim.target.hosted(artifact, manifest, aim.options), None, None)


def _only(aims: list[Aim]) -> Aim:
    if len(aims) != 1:
        names = ", ".join(aim.name for aim in aims)
        raise UsageError(Problem("an artifact is deployed to one target", "name it with --target", found=names))
    return aims[0]


def _taking(aim: Aim) -> Takes:
    if not isinstance(aim.target, Takes):
        raise UsageError(
            Problem(f"the target {aim.name} deploys what it builds, and nothing else", "leave --artifact away")
        )
    return aim.target


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes())
    except OSError as error:
        fix = "name dist/TARGET/artifact.json, or an image by digest: REPOSITORY@sha256:…"
        raise UserError(Problem(f"there is no artifact: {error.strerror}", fix, Place(str(file)))) from None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UserError(Problem("this is not what mcp-pack build wrote", "build it again", Place(str(file))))
    return document


def _unfit(manifest: Manifest, built: Taken) -> list[Problem]:
    """Where artifact and manifest are not of the same tool."""
    artifact, where = built.artifact, str(manifest.path)
    problems = []
    if artifact.tool != manifest.tool.name:
        problems.append(
            Problem(
                f"that artifact is of the tool {artifact.tool}",
                "deploy it with the manifest that it was built with",
                Place(where, key="tool.name"),
                found=manifest.tool.name,
            )
        )
    if built.contract is None:
        return problems
    if artifact.contract_hash != built.contract.hash:
        problems.append(Problem("the artifact has another contract than it says", "build it again"))
    problems += [
        Problem(
            f"that artifact has no tool {call.tool}, which a [[verify.call]] is to call",
            "deploy an artifact that has it, or leave the call away",
            Place(where, key="verify.call"),
            found=", ".join(built.contract.tool_names) or "no tools",
        )
        for call in manifest.verify
        if call.tool not in built.contract.tool_names
    ]
    needed = {name for tool in built.contract.tools for name in tool.get("secrets", ())}
    problems += [
        Problem(
            f"a tool of that artifact needs the secret {name}",
            f"declare it: [secrets.{name}]",
            Place(where, key="secrets"),
        )
        for name in sorted(needed - set(manifest.secrets))
    ]
    return problems
