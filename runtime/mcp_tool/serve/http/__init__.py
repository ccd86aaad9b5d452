"""MCP over HTTP: the shell, its gates, and the two ways behind it."""
