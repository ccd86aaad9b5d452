"""The MCP SDK: a tool of this runtime as one of its servers, and servers written with other libraries."""
