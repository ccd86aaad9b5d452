"""`python -m mcp_tool` with a test double behind the seam: an app that answers from a table and notes what it must.

What stands around the seam knows an app by `call_tool` and its siblings alone, so nothing else may differ.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

from mcp_tool import __main__, app
from mcp_tool.record import CURRENT
from mcp_tool.running import Runner
from mcp_tool.wire import Wire

FAILURES = {"fail": "tool_error", "crash": "crash", "slow": "timeout"}
"""Why the tools of `tests.serve.seen` end as they do."""

TOOLS = {"add", "told", "hold", "block", *FAILURES}


class Double:
    """Answers like the tools of `tests.serve.seen`, without any of them."""

    def __init__(self) -> None:
        self.runner = Runner()

    @classmethod
    def load(cls, *_: object, **__: object) -> Double:
        """Stands where `App.load` does."""
        return cls()

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    async def call_tool(self, name: str, arguments: Mapping[str, Any], wire: Wire) -> dict[str, Any]:
        """Answer, and say of an error what kind it is."""
        record = wire.record
        assert record is not None
        assert CURRENT.get() is record
        if name == "add" and isinstance(arguments.get("a"), int):
            return {"content": [{"type": "text", "text": "1"}], "isError": False, "structuredContent": {"result": 1}}
        if name == "hold":
            await asyncio.sleep(60)
        record.error_type = FAILURES.get(name, "" if name in TOOLS else "unknown_tool")
        return {"content": [{"type": "text", "text": "no"}], "isError": True}


if __name__ == "__main__":
    app.App = Double  # type: ignore[assignment,misc]  # the double
    sys.exit(__main__.main())
