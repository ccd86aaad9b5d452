"""Write an MCP tool as a typed Python function; the runtime serves it the same everywhere."""

__version__ = "0.1.0"
