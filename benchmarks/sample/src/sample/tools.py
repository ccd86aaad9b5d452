"""Two tools that need what the sample depends on."""

import httpx
import numpy as np

from mcp_tool import tool


@tool
def mean(numbers: list[float]) -> float:
    """Tell the mean of some numbers."""
    return float(np.mean(numbers))


@tool
async def status(url: str) -> int:
    """Tell what a web server answers with."""
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).status_code
