"""Leads every new connection to the port that ``route.json`` names. ``python proxy.py FOLDER PORT``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.close()


async def serve(folder: Path, port: int) -> None:
    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            route = json.loads((folder / "route.json").read_text(encoding="utf-8"))
            there, back = await asyncio.open_connection("127.0.0.1", route["port"])
        except (OSError, ValueError):
            writer.close()
            return
        await asyncio.gather(_pump(reader, back), _pump(there, writer))

    server = await asyncio.start_server(lead, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
