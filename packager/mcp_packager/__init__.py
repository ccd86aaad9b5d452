"""mcp-pack: build and deploy MCP tools from one ``mcp-tool.toml``."""

__version__ = "0.1.0"
