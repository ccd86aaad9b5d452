"""`python -m mcp_tool` that waits for no client: what takes up to a minute takes half a second."""

from __future__ import annotations

import sys

from mcp_tool import __main__
from mcp_tool.serve.http import connections as http_connections
from mcp_tool.serve.http import shell

SECONDS = 0.5

if __name__ == "__main__":
    http_connections.HEAD = http_connections.STUCK = shell.BODY = SECONDS  # type: ignore[misc]  # finals, elsewhere
    sys.exit(__main__.main())
