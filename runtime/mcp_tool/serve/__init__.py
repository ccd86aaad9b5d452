"""Serving a tool: the MCP SDK behind stdio and HTTP, one way for every place it runs."""
