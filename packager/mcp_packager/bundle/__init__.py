"""The exact content of an artifact, as data; as a tree or a wheel where one is needed."""

from mcp_packager.bundle.archives import Archives
from mcp_packager.bundle.assemble import assemble, canonical
from mcp_packager.bundle.author import AuthorFile, AuthorFiles, author_files, import_root
from mcp_packager.bundle.entries import Bundle, Entry, Inline, Packed, ProjectFile, Stored, content
from mcp_packager.bundle.secrets import scan_secrets
from mcp_packager.bundle.tree import environment, environment_key, materialise
from mcp_packager.bundle.wheel import write_wheel

__all__ = [
    "Archives",
    "AuthorFile",
    "AuthorFiles",
    "Bundle",
    "Entry",
    "Inline",
    "Packed",
    "ProjectFile",
    "Stored",
    "assemble",
    "author_files",
    "canonical",
    "content",
    "environment",
    "environment_key",
    "import_root",
    "materialise",
    "scan_secrets",
    "write_wheel",
]
