"""`python -m mcp_tool` with something else behind the seam than the author's tools: what a later path could be.

Everything in front of it is the real thing: whoever answers `call_tool`, the same gates stand before it.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Mapping
from typing import Any

from mcp_tool import __main__, app
from mcp_tool.running import Runner
from mcp_tool.wire import Wire


class Double:
    """Answers from nothing, within the time that a deployment allows."""

    def __init__(self, timeout: float) -> None:
        self.runner = Runner()
        self._timeout = timeout

    @classmethod
    def load(cls, document: Mapping[str, Any], *, timeout: float = math.inf, **_: Any) -> Double:
        """As `App.load`, without importing anything of the author's."""
        assert document["name"]
        return cls(timeout)

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    async def call_tool(self, name: str, arguments: Mapping[str, Any], wire: Wire) -> dict[str, Any]:
        """Add, or wait for what never comes."""
        assert wire.protocol_version
        if name == "add":
            total = arguments["a"] + arguments.get("b", 0)
            return _result(str(total), {"result": total}, failed=False)
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.Event().wait()
        except TimeoutError:
            pass
        return _result(f"timed out after {self._timeout:g} s", None, failed=True)


def _result(text: str, structured: Mapping[str, Any] | None, *, failed: bool) -> dict[str, Any]:
    shown = {"content": [{"type": "text", "text": text}], "isError": failed}
    return shown if structured is None else {**shown, "structuredContent": structured}


if __name__ == "__main__":
    app.App = Double  # type: ignore[assignment,misc]  # the double
    sys.exit(__main__.main())
