"""From a target's bundles to the images they become: one for each architecture, written down as an OCI layout.

Beside the layout stands what else a later push needs: what the images were made of, for bill and provenance. So one
build can be put anywhere, as often as one likes, without being built again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from mcp_packager.errors import Problem, UserError
from mcp_packager.image.archive import write_layout
from mcp_packager.image.bases import base
from mcp_packager.image.building import Recipe, built
from mcp_packager.image.documents import Image, Settings, architecture_of, digest_of_bytes, image, index
from mcp_packager.image.ingredients import ingredients
from mcp_packager.image.layering import Layer, layers
from mcp_packager.image.reference import parse

if TYPE_CHECKING:
    from mcp_packager.bundle import Bundle
    from mcp_packager.lock import Lock
    from mcp_packager.manifest import Manifest
    from mcp_packager.platforms import Platform
    from mcp_packager.store import Store

LAYOUT: Final = "image"
"""The OCI layout inside an artifact's folder."""

ASSEMBLED_FILE: Final = "assembled.json"
"""What else a push needs, beside the layout."""

ASSEMBLED_SCHEMA: Final = 1
CONTRACT_LABEL: Final = "dev.mcp-pack.contract"
BUNDLE_LABEL: Final = "dev.mcp-pack.bundle"
_DIGITS: Final = 12


class Given(Protocol):
    """What images are assembled from: the ``BuildInput`` of the target SDK."""

    @property
    def manifest(self) -> Manifest:
        """The tool's."""
        ...

    @property
    def bundles(self) -> Mapping[Platform, Bundle]:
        """One for each architecture, all of the same Python."""
        ...

    @property
    def contract(self) -> Mapping[str, Any]:
        """The contract document, for its hash."""
        ...

    @property
    def output(self) -> Path:
        """The artifact's folder."""
        ...

    @property
    def base(self) -> str | None:
        """The image below, by digest."""
        ...

    @property
    def lock(self) -> Lock | None:
        """Names the wheels; without it nothing is said of what the images are made of."""
        ...


@dataclass(frozen=True)
class Assembled:
    """The images of one build, sorted by architecture, and their common tag."""

    images: tuple[Image, ...]
    tag: str

    @property
    def digest(self) -> str:
        """The digest of the one image's manifest, or of the index over several."""
        return self.images[0].digest if len(self.images) == 1 else digest_of_bytes(index(self.images))

    @property
    def size(self) -> int:
        """Bytes of all layers, each counted once."""
        return sum({layer.digest: layer.size for one in self.images for layer in one.every_layer}.values())

    def of(self, architecture: str) -> Image | None:
        """The image for one architecture, by OCI's word for it."""
        return next((one for one in self.images if one.architecture == architecture), None)


def assemble(
    request: Given, *, single: bool = False, recipe: Recipe | None = None, store: Store | None = None
) -> Assembled:
    """Make the images of all bundles and write them to ``request.output``: the layout, and what a push needs.

    Args:
        request: what the target was given to build from.
        single: for who takes no index: more than one bundle is a problem.
        recipe: the Dockerfile of the image below, in place of ``request.base``.
        store: the shared store by default.

    Raises:
        UserError: the base does not fit or cannot be built, or there are several where one is wanted.
        WorldError: the base's registry cannot be reached, no builder answers, or there is no room.
    """
    if single and len(request.bundles) != 1:
        wanted = ", ".join(sorted(platform.tag for platform in request.bundles))
        raise UserError(Problem("an index over several architectures is not taken here", "choose one", found=wanted))
    with ThreadPoolExecutor(1) as beside:
        # git is asked while the layers are made.
        said = beside.submit(_said, request, store)
        images = tuple(
            sorted(
                (_image(request, platform, bundle, recipe, store) for platform, bundle in request.bundles.items()),
                key=lambda one: one.architecture,
            )
        )
        made = Assembled(images, f"{request.manifest.tool.version}-{_name(images)}")
        write_layout(images, request.output / LAYOUT, made.tag, store=store)
        document = {"schema": ASSEMBLED_SCHEMA, "tag": made.tag, "ingredients": said.result()}
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
    (request.output / ASSEMBLED_FILE).write_text(text + "\n", encoding="utf-8")
    return made


def _image(request: Given, platform: Platform, bundle: Bundle, recipe: Recipe | None, store: Store | None) -> Image:
    tool = request.manifest.tool
    settings = Settings(
        tool.name,
        tool.version,
        " ".join(tool.description.split()),
        python=platform.python,
        labels={CONTRACT_LABEL: request.contract["hash"], BUNDLE_LABEL: bundle.hash},
    )
    architecture = architecture_of(platform.tag)
    if recipe is not None:
        below = built(recipe, architecture, store=store)
    else:
        below = base(parse(request.base or "", key="base"), architecture, store=store)
    every: tuple[Layer, ...] = layers(bundle, store)
    return image(below, every, settings)


def _said(request: Given, store: Store | None) -> dict[str, Any] | None:
    if request.lock is None:
        return None
    return ingredients(request.manifest, request.lock, request.bundles, store=store).as_json()


def _name(images: tuple[Image, ...]) -> str:
    """A short hash over the bundles and all else that is in the images.

    The bundles alone do not do: the same ones on a newer base are other images, and their tag may be one that must not
    change.
    """
    return hashlib.sha256("\n".join(one.digest for one in images).encode()).hexdigest()[:_DIGITS]
