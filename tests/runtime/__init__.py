"""The runtime's author side: decorators, schemas, calls, contract."""
