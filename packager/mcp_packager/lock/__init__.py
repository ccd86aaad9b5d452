"""Resolved dependencies: ``mcp-tool.lock`` and the wheels that it names."""

from mcp_packager.lock.document import FILE_NAME, Lock, LockedPackage, LockedRuntime, read
from mcp_packager.lock.ensure import ensure
from mcp_packager.lock.images import with_images
from mcp_packager.lock.inputs import Inputs, gather
from mcp_packager.lock.runtime import DISTRIBUTION as RUNTIME
from mcp_packager.lock.runtime import record_hash
from mcp_packager.lock.runtime import requirements as runtime_requirements
from mcp_packager.lock.wheels import Wheel, fetch, kept

__all__ = [
    "FILE_NAME",
    "RUNTIME",
    "Inputs",
    "Lock",
    "LockedPackage",
    "LockedRuntime",
    "Wheel",
    "ensure",
    "fetch",
    "gather",
    "kept",
    "read",
    "record_hash",
    "runtime_requirements",
    "with_images",
]
