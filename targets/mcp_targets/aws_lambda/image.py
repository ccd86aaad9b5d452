"""The function as an image in ECR: what it is built on, what is wanted in the account, how it is put there.

The image is the one that every target runs; a function starts it with other words, our own loop about Lambda's Runtime
API in the place of the HTTP server (Lambda developer guide, "Create a Lambda function using a container image": any
image that implements the Runtime API, one manifest and no index, in ECR of the function's own region).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.errors import PackError, Place, Problem, UserError, WorldError
from mcp_packager.target import (
    IMAGE,
    Artifact,
    BuildInput,
    Identity,
    Key,
    Observed,
    Ref,
    Resource,
    Scope,
    Value,
    image_artifact,
)
from mcp_targets._aws import ecr
from mcp_targets._aws.names import REPOSITORY, registry
from mcp_targets.aws_lambda.options import Options
from mcp_targets.aws_lambda.place import Where

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

KIND: Final = "image"
"""Of the resource. Its fields: ``repository``, which is ECR's own word for it, ``digest`` and ``tag``.

What is there has ``uri`` too: REPOSITORY@DIGEST.
"""

MOST: Final = 10 * 2**30
"""Bytes of an image's files (Lambda developer guide, "Lambda quotas")."""

SYSTEM: Final = "manylinux_2_28"
"""What wheels may ask of the base: Debian 12 and 13, and every slim image of a Python that is served today."""

_BUNDLE: Final = "/opt/mcp-tool"
_START: Final = ("python3", "-S", "-P", "-m", "mcp_tool.serve.aws")
_UNTAGGED_DAYS: Final = 14
_ONLY: Final = ("base", "repository", "keep_images")


def is_image(options: Options) -> bool:
    """Whether the tool is shipped as an image."""
    return options.package == "image"


def problems(manifest: Manifest, options: Options) -> Iterator[Problem]:
    """What is said of an image where there is none."""
    if is_image(options):
        return
    for key in _ONLY:
        if f"target.lambda.{key}" in manifest.written:
            yield Problem(
                f"{key} is said of an image, and the function comes as a zip",
                f'set package = "image" under [target.lambda], or leave {key} away',
                Place(str(manifest.path), key=f"target.lambda.{key}"),
            )


def base_image(options: Options, python: str) -> str | None:
    """The image that the tool's layers stand on; ``None`` for a zip."""
    return (options.base or f"python:{python}-slim") if is_image(options) else None


def repository(identity: Identity, options: Options, place: Where) -> str:
    """Where the tool's images are, without tag."""
    return f"{registry(place.account, place.region)}/{_name(identity, options)}"


def _name(identity: Identity, options: Options) -> str:
    return options.repository or identity.name(alphabet=REPOSITORY)


def build(request: BuildInput, name: str, repository: str, facts: Mapping[str, Any]) -> Artifact:
    """Write the image as an OCI layout.

    Raises:
        UserError: the tool is larger than Lambda takes, or the base does not fit.
        WorldError: the base's registry cannot be reached.
    """
    from mcp_packager.image import assemble

    ((_, bundle),) = request.bundles.items()
    if bundle.size > MOST:
        raise UserError(
            Problem(
                "The tool is too large for a function",
                "Depend on less, or deploy it to docker, kubernetes or eks",
                expected=f"{MOST / 2**30:g} GB unpacked at most, with the image below",
                found=f"{bundle.size / 2**30:.1f} GB",
            )
        )
    return image_artifact(request, name, assemble(request, single=True), repository, facts)


def settings(options: Options) -> dict[str, Value]:
    """What CreateFunction is sent for an image and not for a zip.

    Both words replace the image's own; that an empty list would replace anything is nowhere said.
    """
    streamed = ["--streamed"] if options.streaming else []
    return {
        "ImageConfig": {
            "EntryPoint": list(_START),
            "Command": ["--bundle", _BUNDLE, *streamed],
            "WorkingDirectory": f"{_BUNDLE}/app",
        }
    }


def code(artifact: Artifact) -> dict[str, Value]:
    """The function's code: by ``image`` what Lambda is sent as ``ImageUri``, by ``sha256`` what it says of it later."""
    digest = artifact.digest.removeprefix("sha256:")
    return {"image": Ref(_key(artifact), "uri"), "sha256": digest, "size": artifact.size}


def resources(artifact: Artifact, identity: Identity, options: Options) -> tuple[Resource, Resource]:
    """The repository, and the image in it.

    Lambda lets itself read the repository when a function is made of it, where whoever makes it may say so
    (``ecr:GetRepositoryPolicy`` and ``ecr:SetRepositoryPolicy``; Lambda developer guide, "Amazon ECR permissions").
    """
    held = ecr.wanted(
        _name(identity, options),
        shared=options.repository is not None,
        lifecycle=ecr.lifecycle(untagged_days=_UNTAGGED_DAYS, keep=options.keep_images),
        key=None,
    )
    digest, tag = artifact.digest, str(artifact.facts["reference"]).rpartition(":")[2]
    fields: dict[str, Value] = {"repository": Ref(held.key, "uri"), "digest": digest, "tag": tag}
    return held, Resource(*_key(artifact), fields, (held.key,), scope=Scope.SHARED)


def _key(artifact: Artifact) -> Key:
    return Key(KIND, artifact.digest.removeprefix("sha256:")[:16])


def observed(resource: Resource, repository: str | None, environ: Mapping[str, str]) -> Observed | None:
    """The image of a resource, where its repository (ECR's word for it) is there and has it."""
    there = {**resource.fields, "repository": repository}
    if repository is None or not held(there, environ):
        return None
    return Observed(KIND, resource.name, _there(there), Scope.SHARED)


def _there(fields: Mapping[str, Value]) -> Mapping[str, Value]:
    return {**fields, "uri": f"{fields['repository']}@{fields['digest']}"}


def held(fields: Mapping[str, Value], environ: Mapping[str, str]) -> bool:
    """Whether the registry has the image of a resource, its Ref resolved.

    One that cannot be asked from here is believed.
    """
    from mcp_packager.image import held as has

    try:
        return has(_there(fields)["uri"], environ=environ)
    except PackError:
        return True


def push(resource: Resource, output: Path | None, environ: Mapping[str, str]) -> Mapping[str, Value]:
    """Send what the registry lacks of the image, from the artifact's folder; the resource's Ref is resolved.

    Raises:
        WorldError: it is not there, and this deploy brings none along, or another one.
    """
    from mcp_packager.image import ship

    repository, digest = resource.fields["repository"], resource.fields["digest"]
    if output is None or not (output / IMAGE).exists():
        if held(resource.fields, environ):
            return _there(resource.fields)
        raise WorldError(
            Problem(
                f"{repository} no longer has {digest[:19]}, and only a deploy of that version brings it along",
                "build and deploy that version again",
            )
        )
    pushed = ship(output, repository, environ=environ)
    if pushed.reference.digest != digest:
        raise WorldError(
            Problem(
                f"the image in {output} is not the one that is wanted in {repository}",
                "build and deploy again",
                expected=digest,
                found=pushed.reference.digest,
            )
        )
    return _there(resource.fields)
