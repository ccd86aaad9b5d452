"""``mcp-pack secrets``: which secrets there are, how a new value is delivered, and a new key. No value is shown."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

from mcp_packager import engine
from mcp_packager.errors import Problem, UserError
from mcp_packager.manifest import load
from mcp_packager.pipeline.operate import Placed, places
from mcp_packager.pipeline.place import verified
from mcp_packager.pipeline.reports import NewKey, PushReport, SecretLine
from mcp_packager.pipeline.requests import Request
from mcp_packager.target import Key, Release

_KEY_BYTES = 32


def listing(request: Request) -> tuple[SecretLine, ...]:
    """Every declared secret of the stage, by name. ``present`` is ``None`` where only the target could know."""
    manifest = load(request.project, request.stage)
    return tuple(
        SecretLine(
            name=name,
            source=":".join(secret.source(name)),
            required=secret.required,
            present=_present(*secret.source(name), manifest.project),
            description=secret.description,
        )
        for name, secret in sorted(manifest.secrets.items())
    )


def push(request: Request, *, names: Sequence[str] = ()) -> tuple[PushReport, ...]:
    """Read the values of secrets again and deliver them to what is deployed, under new versions.

    Everything else stays as the current release has it. It goes the way of every deploy: the server is started with
    the new values beside the old one, is looked at, and takes over only then; a failure leaves the old values in use.

    Args:
        request: which project, stage and targets.
        names: the secrets; all that the targets keep, where empty.

    Raises:
        UserError: nothing is deployed, the target keeps no values, it has no secret of that name, or a value is
            missing.
        WorldError: the server does not do with the new values, or another deploy holds the lock.
    """
    aimed = [(placed, *_kept(placed, request.stage, names)) for placed in places(request)]
    run = engine.Run(progress=request.progress)
    reports = []
    for placed, release, keys in aimed:
        done = engine.deploy(release.intent, placed.world, verify=verified(placed.world), run=run, anew=keys)
        reports.append(
            PushReport(
                target=placed.aim.name,
                stage=request.stage,
                release=done.release.number,
                secrets=tuple(sorted(key.name for key in keys)),
            )
        )
    return tuple(reports)


def _kept(placed: Placed, stage: str, names: Iterable[str]) -> tuple[Release, frozenset[Key]]:
    """The current release, and which of its resources hold the secrets."""
    target = placed.aim.name
    release = engine.current(placed.world)
    if release is None:
        raise UserError(
            Problem(f"nothing is deployed to {target} (stage {stage})", "run mcp-pack deploy: it delivers the values")
        )
    kinds = {kind.name for kind in placed.world.kinds if kind.secret}
    there = {resource.name: resource.key for resource in release.intent.resources if resource.kind in kinds}
    if unknown := sorted(set(names) - there.keys()):
        raise UserError(
            Problem(
                f"release {release.number} on {target} keeps no secret {', '.join(unknown)}",
                "name one that it keeps; a secret that was declared since comes with mcp-pack deploy",
                found=", ".join(sorted(there)) or "no secrets at all",
            )
        )
    if not there:
        raise UserError(
            Problem(
                f"{target} keeps no values of secrets for this tool",
                "there is nothing to push: what it needs, it reads where the manifest says",
            )
        )
    return release, frozenset(there[name] for name in names) if names else frozenset(there.values())


def new_key() -> NewKey:
    """A key for callers to show, made here and kept nowhere, with the hash that a server may have in its place."""
    key = secrets.token_urlsafe(_KEY_BYTES)
    return NewKey(key, f"sha256:{hashlib.sha256(key.encode()).hexdigest()}")


def _present(scheme: str, rest: str, project: Path) -> bool | None:
    match scheme:
        case "env":
            return bool(os.environ.get(rest))
        case "file":
            return (project / Path(rest).expanduser()).is_file()
        case _:
            return None
