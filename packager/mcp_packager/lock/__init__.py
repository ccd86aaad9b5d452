"""Resolved dependencies: ``mcp-tool.lock`` and the wheels that it names."""

from mcp_packager.lock.document import FILE_NAME, Lock, LockedPackage, LockedRuntime, read
from mcp_packager.lock.ensure import ensure
from mcp_packager.lock.wheels import Wheel, fetch

__all__ = ["FILE_NAME", "Lock", "LockedPackage", "LockedRuntime", "Wheel", "ensure", "fetch", "read"]
