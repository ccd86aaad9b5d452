"""What clients see of tools, resources and prompts, in wire form. Keys stand as the SDK sorts them."""

from collections.abc import Mapping
from typing import Any, get_args

from mcp_tool.content import File
from mcp_tool.registry import Common, PromptDeclaration, ResourceDeclaration, ToolDeclaration
from mcp_tool.schema.signature import NOTHING, arms


def tool(declaration: ToolDeclaration, inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None) -> dict[str, Any]:
    """A tool as `tools/list` shows it."""
    hints = declaration.hints
    annotations = {
        "destructiveHint": hints.destructive,
        "idempotentHint": hints.idempotent,
        "openWorldHint": hints.open_world,
        "readOnlyHint": hints.read_only,
    }
    said = {key: value for key, value in annotations.items() if value is not None}
    return _present(
        _meta=_meta(declaration.common),
        annotations=said or None,
        description=declaration.common.description,
        icons=_icons(declaration.common),
        inputSchema=dict(inputs),
        name=declaration.common.name,
        outputSchema=outputs,
        title=declaration.common.title,
    )


def resource(declaration: ResourceDeclaration, mime_type: str, *, template: bool) -> dict[str, Any]:
    """A resource as `resources/list` shows it, or a template as `resources/templates/list` does."""
    annotations = declaration.annotations
    return _present(
        _meta=_meta(declaration.common),
        annotations=None if annotations is None else dict(sorted(annotations.items())),
        description=declaration.common.description,
        icons=_icons(declaration.common),
        mimeType=mime_type,
        name=declaration.common.name,
        size=None if template else declaration.size,
        title=declaration.common.title,
        **{"uriTemplate" if template else "uri": declaration.uri},
    )


def prompt(declaration: PromptDeclaration, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A prompt as `prompts/list` shows it."""
    required = inputs.get("required", [])
    arguments = [
        _present(description=entry.get("description"), name=name, required=name in required)
        for name, entry in inputs.get("properties", {}).items()
    ]
    return _present(
        _meta=_meta(declaration.common),
        arguments=arguments,
        description=declaration.common.description,
        icons=_icons(declaration.common),
        name=declaration.common.name,
        title=declaration.common.title,
    )


def mime_type(returns: Any) -> str:
    """The type of what a resource function returns, where the author did not say."""
    kinds = arms(returns)
    if all(kind in (bytes, bytearray, memoryview) for kind in kinds):
        return "application/octet-stream"
    plain = any(kind in (str, Any, object, NOTHING, File) or File in get_args(kind) for kind in kinds)
    return "text/plain" if plain else "application/json"


def _present(**entries: Any) -> dict[str, Any]:
    return {key: value for key, value in entries.items() if value is not None}


def _icons(common: Common) -> list[dict[str, Any]] | None:
    return [dict(sorted(icon.items())) for icon in common.icons] or None


def _meta(common: Common) -> dict[str, Any] | None:
    return None if common.meta is None else dict(common.meta)
