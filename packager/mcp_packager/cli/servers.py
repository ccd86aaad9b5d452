"""Which server a client's settings are about: what is built, over stdio, or a URL."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_packager.cli.options import Common
from mcp_packager.cli.peek import peek
from mcp_packager.errors import Place, Problem, UsageError, UserError
from mcp_packager.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_packager.client_config import HttpServer, SecretReference, Server, StdioServer
    from mcp_packager.target import Artifact

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What every client takes as a server's name."""

_DEFAULT = "local"
_ENVIRONMENT = "{env}"
"""Stands, in the command of an artifact, for the variables that its program hands on by name."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asked for. ``url`` is empty for the deployed one, ``None`` for stdio."""

    url: str | None
    token_env: str | None
    name: str | None


def find(common: Common, wanted: Wanted, progress: Progress) -> tuple[Server, tuple[str, ...]]:
    """The server, and what to know about it.

    Raises:
        UsageError: the name or the URL does not do.
        UserError: nothing is built or deployed that could be connected to.
    """
    name = wanted.name or peek(common.project).name or "tool"
    if not _NAME.fullmatch(name):
        fix = "use letters, digits, - and _, at most 64, with --name"
        raise UsageError(Problem(f"`{name}` is no server name that every client takes", fix))
    if wanted.url is None:
        return _stdio(common, name)
    if wanted.url:
        return _http(wanted.url, name, wanted.token_env), ()
    return _deployed(common, name, wanted.token_env, progress)


def _http(url: str, name: str, token_env: str | None) -> HttpServer:
    from mcp_packager.client_config import HttpServer, SecretReference

    if not url.startswith(("http://", "https://")):
        raise UsageError(Problem(f"`{url}` is no URL of a server", "give one that starts with https:// or http://"))
    token = None if token_env is None else SecretReference("Authorization", token_env, f"Bearer token of {name}")
    return HttpServer(name, url, token)


def _deployed(common: Common, name: str, token_env: str | None, progress: Progress) -> tuple[Server, tuple[str, ...]]:
    """The deployed server. Where it asks for a key, a variable that holds one is referred to.

    Where it asks for signed requests, which no client makes, the client starts what signs them.
    """
    from mcp_packager.client_config import StdioServer
    from mcp_packager.pipeline.operate import endpoint

    place = endpoint(common.request(progress))
    url = place.get("url")
    if not isinstance(url, str):
        raise UserError(Problem("this deployment has no URL", "use --stdio, or deploy it to a target that has one"))
    match place.get("auth"), token_env:
        case "iam", _ if place.get("command"):
            _, *words = place["command"]
            note = "requests are signed with the AWS credentials of the environment that the client starts in"
            return StdioServer(name, (*_uvx(), *words)), (note,)
        case "bearer", None:
            variable = f"{re.sub('[^A-Z0-9]', '_', name.upper())}_KEY"
            return _http(url, name, variable), ("the server asks for one of its keys",)
        case (("jwt" | "oidc"), None):
            note = (
                "the server asks for a token of its issuer: let the client sign in, or name a variable that holds one"
            )
            return _http(url, name, None), (f"{note}, with --token-env",)
        case _:
            return _http(url, name, token_env), ()


def _stdio(common: Common, name: str) -> tuple[StdioServer, tuple[str, ...]]:
    from mcp_packager.client_config import StdioServer
    from mcp_packager.manifest import load

    manifest = load(common.project, common.stage, check_targets=False)
    folder, artifact = _built(manifest.project, common.targets[0] if common.targets else _DEFAULT)
    secrets: list[SecretReference] = []
    notes: list[str] = list(artifact.facts.get("notes", ()))
    for key, secret in manifest.code_secrets.items():
        reference, note = _reference(key, secret.source(key), secret.description, as_file=secret.as_ == "file")
        secrets += [reference] if reference is not None else []
        notes += [note] if note is not None else []
    command = _command(folder, artifact, [*manifest.env, *(secret.name for secret in secrets)])
    return StdioServer(name, command, dict(manifest.env), tuple(secrets)), tuple(notes)


def _command(folder: Path, artifact: Artifact, environment: Sequence[str]) -> tuple[str, ...]:
    """What starts the artifact: whole paths, and the names of the variables where a program asks for each of them."""
    program, *words = artifact.facts["command"]
    found = list(_uvx()) if program == "uvx" else [shutil.which(program) or program]
    for word in words:
        if word == _ENVIRONMENT:
            found += (part for name in environment for part in (artifact.facts["env_option"], name))
        else:
            found.append(str(folder / word) if (folder / word).is_file() else word)
    return tuple(found)


def _reference(
    key: str, source: tuple[str, str], description: str, *, as_file: bool
) -> tuple[SecretReference | None, str | None]:
    from mcp_packager.client_config import SecretReference

    scheme, rest = source
    if scheme == "env" and not as_file:
        return SecretReference(key, rest, description), None
    return (
        None,
        f"{key} comes from `{scheme}:{rest}`: give it to the server yourself, as the variable {key}",
    )


def _built(project: Path, target: str) -> tuple[Path, Artifact]:
    """What the last build for the target wrote, by what its artifact.json says, and the folder that it is in."""
    from mcp_packager.target import ARTIFACT_FILE, Artifact

    folder = project.absolute() / "dist" / target
    what = "there is nothing built that a client could start"
    missing = UserError(Problem(what, f"type `mcp-pack build --target {target}` first", Place(file=str(folder))))
    try:
        artifact = Artifact.from_json(json.loads((folder / ARTIFACT_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError, TypeError):
        raise missing from None
    if not artifact.facts.get("command"):
        raise UserError(
            Problem(f"what {target} builds is not started over stdio", "use --url", Place(file=str(folder)))
        )
    if artifact.path is None or not (folder / artifact.path).exists():
        raise missing
    return folder, artifact


def _uvx() -> tuple[str, ...]:
    """The whole path of uvx: a client that was started from a desktop has a short PATH."""
    if found := shutil.which("uvx"):
        return (found,)
    import uv

    program = Path(uv.find_uv_bin())
    beside = program.with_name(f"uvx{program.suffix}")
    return (str(beside),) if beside.is_file() else (str(program), "tool", "run")
