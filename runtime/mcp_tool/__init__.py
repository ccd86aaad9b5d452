"""Write an MCP tool as a typed Python function; the runtime serves it the same everywhere.

from mcp_tool import tool

@tool
def word_count(text: str) -> int:
    '''Count the words in a text.'''
    return len(text.split())
"""

from typing import TYPE_CHECKING, Any

from mcp_tool.asking import (
    Accepted,
    Ask,
    Cancelled,
    Declined,
    InputRequired,
    ListRoots,
    Outcome,
    Resolve,
    Root,
    Sample,
    Sampled,
)
from mcp_tool.content import AssistantMessage, Audio, File, Image, Link, Text, ToolResult, UserMessage
from mcp_tool.context import Client, Context
from mcp_tool.decorators import prompt, provide, resource, tool
from mcp_tool.errors import ResourceNotFoundError, RpcError, ToolError
from mcp_tool.providing import Provided

if TYPE_CHECKING:
    from mcp_tool.settings import Settings

__version__ = "0.1.0"

__all__ = [
    "Accepted",
    "Ask",
    "AssistantMessage",
    "Audio",
    "Cancelled",
    "Client",
    "Context",
    "Declined",
    "File",
    "Image",
    "InputRequired",
    "Link",
    "ListRoots",
    "Outcome",
    "Provided",
    "Resolve",
    "ResourceNotFoundError",
    "Root",
    "RpcError",
    "Sample",
    "Sampled",
    "Settings",
    "Text",
    "ToolError",
    "ToolResult",
    "UserMessage",
    "prompt",
    "provide",
    "resource",
    "tool",
]


def __getattr__(name: str) -> Any:
    # A pydantic model: imported by those who name it, so that the rest do not pay for pydantic.
    if name == "Settings":
        from mcp_tool.settings import Settings  # noqa: PLC0415 - see above

        return Settings
    msg = f"module 'mcp_tool' has no attribute {name!r}"
    raise AttributeError(msg)
