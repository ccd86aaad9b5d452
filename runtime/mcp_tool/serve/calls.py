"""What surrounds every `tools/call`, whoever answers it: this runtime's app, a wrapped server, a test's double."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mcp_tool.wire import Wire

Answer = Callable[[], Awaitable[dict[str, Any]]]
"""Gives a call's result in wire form."""


class Calls:
    """Scopes, in flight, span, answer, outcome, metrics, audit: around one call, in this order."""

    async def __call__(self, name: str, arguments: Mapping[str, Any], wire: Wire, answer: Answer) -> dict[str, Any]:  # noqa: ARG002 - what the surroundings are to look at
        """The result of `answer`, seen."""
        return await answer()
