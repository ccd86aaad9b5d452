"""OCI images without a daemon: layers of a bundle, on a base, as files or in a registry.

``layers`` → ``base`` → ``image`` → ``push`` or ``write_layout``; ``attach`` beside the push; ``verify`` for who pulls.
"""

from mcp_packager.image.archive import docker_archive, write_layout
from mcp_packager.image.attaching import Attached, attach
from mcp_packager.image.bases import Base, base, digest_of
from mcp_packager.image.documents import Image, Settings, architecture_of, image, index
from mcp_packager.image.ingredients import Ingredients, ingredients
from mcp_packager.image.layering import Layer, layers
from mcp_packager.image.pushing import Pushed, push
from mcp_packager.image.reference import Reference, mirrored, parse
from mcp_packager.image.registry import Registry
from mcp_packager.image.signing import signer
from mcp_packager.image.verifying import verify

__all__ = [
    "Attached",
    "Base",
    "Image",
    "Ingredients",
    "Layer",
    "Pushed",
    "Reference",
    "Registry",
    "Settings",
    "architecture_of",
    "attach",
    "base",
    "digest_of",
    "docker_archive",
    "image",
    "index",
    "ingredients",
    "layers",
    "mirrored",
    "parse",
    "push",
    "signer",
    "verify",
    "write_layout",
]
