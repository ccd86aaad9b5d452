"""Tests of ``mcp-pack new``."""
