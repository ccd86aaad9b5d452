"""Write an MCP tool as a typed Python function; the runtime serves it the same everywhere.

from mcp_tool import tool

@tool
def word_count(text: str) -> int:
    '''Count the words in a text.'''
    return len(text.split())
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from mcp_tool.principal import Principal
    from mcp_tool.providing import Provided
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
    "Principal",
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


_HOMES = {
    "asking": (
        "Accepted",
        "Ask",
        "Cancelled",
        "Declined",
        "InputRequired",
        "ListRoots",
        "Outcome",
        "Resolve",
        "Root",
        "Sample",
        "Sampled",
    ),
    "content": ("AssistantMessage", "Audio", "File", "Image", "Link", "Text", "ToolResult", "UserMessage"),
    "context": ("Client", "Context"),
    "decorators": ("prompt", "provide", "resource", "tool"),
    "errors": ("ResourceNotFoundError", "RpcError", "ToolError"),
    "principal": ("Principal",),
    "providing": ("Provided",),
    "settings": ("Settings",),
}
"""Which module holds what. Only what an author names is imported: `Settings` brings pydantic, `Image` pathlib."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        msg = f"module 'mcp_tool' has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    found = getattr(import_module(f"mcp_tool.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
