"""What is watched: one tool project in one stage, with the tools of its contract and how long each may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_packager.target.identity import Identity

if TYPE_CHECKING:
    from mcp_packager.contract import Contract


@dataclass(frozen=True, slots=True)
class WatchedTool:
    """A tool by the name that its metrics carry; ``timeout`` in seconds."""

    name: str
    timeout: float


@dataclass(frozen=True, slots=True)
class Watched:
    """A deployment to watch. ``service`` and ``stage`` are labels of its ``mcp_tool_info``."""

    identity: Identity
    tools: tuple[WatchedTool, ...]

    @property
    def service(self) -> str:
        """The tool project's name."""
        return self.identity.tool

    @property
    def stage(self) -> str:
        """The stage's name."""
        return self.identity.stage


def watched(contract: Contract, identity: Identity, timeout: float) -> Watched:
    """The deployment that a contract describes.

    Args:
        contract: What the server shows its clients.
        identity: Whose it is.
        timeout: ``serve.timeout`` in seconds, for the tools that name none of their own. Of the two the shorter holds.
    """
    tools = (WatchedTool(str(tool["name"]), min(timeout, tool.get("timeout") or timeout)) for tool in contract.tools)
    return Watched(identity, tuple(sorted(tools, key=lambda tool: tool.name)))
