"""The target suite: what every target must do, for this project's targets and for those of others.

Needs pytest, which ``mcp-packager`` does not bring along.
"""

from mcp_packager.testing.client import Calls, calling, greeting
from mcp_packager.testing.pack import Answer, Pack
from mcp_packager.testing.project import Project
from mcp_packager.testing.suite import TargetSuite

__all__ = ["Answer", "Calls", "Pack", "Project", "TargetSuite", "calling", "greeting"]
