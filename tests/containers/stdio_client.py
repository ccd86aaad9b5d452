"""The SDK's client over a command, as a program of its own that can be killed.

``python stdio_client.py TOOL ARGUMENTS COMMAND…`` prints what the tool answers. Then it waits for a line: at one, it
closes the connection as a client does that is closed; it can also be killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.types import TextContent


async def main(tool: str, arguments: str, program: str, *words: str) -> None:
    server = StdioServerParameters(command=program, args=list(words), env=dict(os.environ))
    async with stdio_client(server) as (reads, writes), ClientSession(reads, writes) as session:
        await session.initialize()
        answer = await session.call_tool(tool, json.loads(arguments))
        (part,) = answer.content
        assert isinstance(part, TextContent)
        print(part.text, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
