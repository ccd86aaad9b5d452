"""From type hints and docstrings to JSON Schemas, by pydantic; the same schemas as the MCP SDK's where that is sane."""
