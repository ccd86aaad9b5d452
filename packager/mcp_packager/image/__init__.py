"""OCI images without a daemon: layers of a bundle, on a base, as files or in a registry.

``layers`` → ``base`` → ``image`` → ``push`` or ``write_layout``.
"""

from mcp_packager.image.archive import docker_archive, write_layout
from mcp_packager.image.bases import Base, base, digest_of
from mcp_packager.image.documents import Image, Settings, architecture_of, image, index
from mcp_packager.image.layering import Layer, layers
from mcp_packager.image.pushing import Pushed, push
from mcp_packager.image.reference import Reference, mirrored, parse
from mcp_packager.image.registry import Registry

__all__ = [
    "Base",
    "Image",
    "Layer",
    "Pushed",
    "Reference",
    "Registry",
    "Settings",
    "architecture_of",
    "base",
    "digest_of",
    "docker_archive",
    "image",
    "index",
    "layers",
    "mirrored",
    "parse",
    "push",
    "write_layout",
]
