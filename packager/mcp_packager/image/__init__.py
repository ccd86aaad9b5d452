"""OCI images without a daemon: layers of a bundle, on a base, as files or in a registry.

For targets: ``assemble`` makes the images of a build and writes them down, ``ship`` puts them into a registry from
there, ``held`` asks whether one is there. Below: ``layers`` → ``base`` → ``image`` → ``push`` or ``write_layout``;
``attach`` beside the push; ``verifying`` for who pulls, which is loaded by itself.
"""

from mcp_packager.image.archive import docker_archive, manifests, write_layout
from mcp_packager.image.assembling import ASSEMBLED_FILE, LAYOUT, Assembled, assemble
from mcp_packager.image.attaching import Attached, attach
from mcp_packager.image.bases import Base, base, digest_of
from mcp_packager.image.building import Recipe
from mcp_packager.image.documents import Image, Settings, architecture_of, image, index
from mcp_packager.image.fetching import Found, contract_in, fetched_archive, find
from mcp_packager.image.ingredients import Ingredients, ingredients
from mcp_packager.image.layering import Layer, layers
from mcp_packager.image.layout import Layout, read_layout
from mcp_packager.image.pushing import Pushed, push
from mcp_packager.image.reference import Reference, mirrored, parse
from mcp_packager.image.registry import Registry
from mcp_packager.image.shipping import held, ship
from mcp_packager.image.signing import signer

__all__ = [
    "ASSEMBLED_FILE",
    "LAYOUT",
    "Assembled",
    "Attached",
    "Base",
    "Found",
    "Image",
    "Ingredients",
    "Layer",
    "Layout",
    "Pushed",
    "Recipe",
    "Reference",
    "Registry",
    "Settings",
    "architecture_of",
    "assemble",
    "attach",
    "base",
    "contract_in",
    "digest_of",
    "docker_archive",
    "fetched_archive",
    "find",
    "held",
    "image",
    "index",
    "ingredients",
    "layers",
    "manifests",
    "mirrored",
    "parse",
    "push",
    "read_layout",
    "ship",
    "signer",
    "write_layout",
]
