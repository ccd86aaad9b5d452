"""`python -m mcp_tool.serve.aws`: what an image starts in Lambda."""

import argparse
import os
from pathlib import Path

from mcp_tool.serve.aws import streaming


def main() -> None:
    """Answer Lambda's events until the environment ends."""
    parser = argparse.ArgumentParser(prog="python -m mcp_tool.serve.aws", description="Serve a tool in AWS Lambda.")
    named = os.environ.get("MCP_TOOL_BUNDLE")
    parser.add_argument(
        "--bundle", type=Path, default=named, required=named is None, help="the bundle's folder (MCP_TOOL_BUNDLE)"
    )
    parser.add_argument("--streamed", action="store_true", help="send answers as they are made")
    options = parser.parse_args()
    streaming.main(options.bundle, streamed=options.streamed)


if __name__ == "__main__":
    main()
