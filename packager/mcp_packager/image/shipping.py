"""An artifact's image from its folder into a registry, with what is said about it beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_packager.errors import PackError, Place, Problem, UserError
from mcp_packager.image.assembling import ASSEMBLED_FILE, ASSEMBLED_SCHEMA, LAYOUT
from mcp_packager.image.attaching import attach
from mcp_packager.image.ingredients import Ingredients
from mcp_packager.image.layout import read_layout
from mcp_packager.image.pushing import Pushed, push
from mcp_packager.image.reference import Reference, parse
from mcp_packager.image.registry import Registry
from mcp_packager.image.signing import IDENTITY, Signer, configured
from mcp_packager.store import Store

if TYPE_CHECKING:
    from mcp_packager.image import identity


def ship(
    folder: Path, repository: str, *, environ: Mapping[str, str] = os.environ, store: Store | None = None
) -> Pushed:
    """Put an artifact's image into a repository under its own tag; nothing is built, nothing is sent that is there.

    Bill and provenance go beside it, signed where ``MCP_PACK_SIGNING_KEY`` names a key, and by cosign afterwards where
    ``MCP_PACK_SIGNING_IDENTITY`` says so.

    Args:
        folder: the artifact's folder, which holds the layout ``image`` and ``assembled.json``.
        repository: ``registry/repository``, without tag.
        environ: where settings and credentials are.
        store: remembers what is there already.

    Raises:
        UserError: the folder holds no such artifact, the key does not do, cosign is needed and not there, we may not
            push, or the tag is taken.
        WorldError: the registry or what cosign needs cannot be reached, or refuses.
    """
    place = repository_of(repository)
    key, who = signers(environ)
    found = read_layout(folder / LAYOUT, environ=environ)
    made_of = _ingredients(folder / ASSEMBLED_FILE)
    target = replace(place, tag=found.tag)
    if made_of is None:
        return push(found.images, target, environ=environ, store=store)
    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(push, found.images, target, environ=environ, store=store)
        try:
            said = attach(found.images, target, made_of, key=key, pushed=pushing, environ=environ, store=store)
        except PackError:
            # Where the image itself is refused, that is what there is to tell.
            pushing.result()
            raise
        done = replace(pushing.result(), documents=said.artifacts, signed=key is not None or who is not None)
    if who is not None:
        from mcp_packager.image import identity

        of = identity.subjects_of(found.images, target, made_of)
        anew = bool(done.blobs or done.documents)
        identity.sign(of, who, environ=environ, store=store or Store(), anew=anew)
    return done


def signers(environ: Mapping[str, str] = os.environ) -> tuple[Signer | None, identity.Signing | None]:
    """The key that is to sign, and the identity; ``None`` where the variables name none.

    Raises:
        UserError: they name what does not do.
    """
    key = configured(environ)
    if not environ.get(IDENTITY):
        return key, None
    from mcp_packager.image import identity  # rarely: cosign is another program's work

    return key, identity.configured(environ)


def held(reference: Reference | str, *, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a registry has an image, by its digest or else by its tag.

    Raises:
        UserError: it is no image name, or we are not let in.
        WorldError: the registry cannot be reached.
    """
    wanted = parse(reference) if isinstance(reference, str) else reference
    return Registry(wanted, environ=environ).manifest(wanted.wanted) is not None


def repository_of(text: str) -> Reference:
    """A repository's name, which has neither tag nor digest.

    Raises:
        UserError: it is none.
    """
    found = parse(text, key="repository")
    if found.tag or found.digest:
        raise UserError(
            Problem(
                f"{text} names an image and not a repository",
                "leave tag and digest away: the tag is made of the tool's version and the image's content",
                found=text,
            )
        )
    return found


def _ingredients(file: Path) -> Ingredients | None:
    """What the build noted down."""
    try:
        document = json.loads(file.read_bytes())
        if document["schema"] > ASSEMBLED_SCHEMA:
            raise _unreadable(file, "it was written by a newer mcp-pack", "update mcp-pack")
        said = document["ingredients"]
        return None if said is None else Ingredients.from_json(said)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(file, str(error) or type(error).__name__, "build it again") from error


def _unreadable(file: Path, why: str, fix: str) -> UserError:
    return UserError(Problem(f"{ASSEMBLED_FILE} cannot be read: {why}", fix, Place(str(file))))
