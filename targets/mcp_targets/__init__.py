"""The targets that ship with mcp-pack, one folder each."""
