"""The contract: what a server shows its clients. Extracted in a child process, hashed, compared."""

from __future__ import annotations

from mcp_packager.contract.compare import ContractChange, announcing, compare, needs_major
from mcp_packager.contract.document import Contract, contract_of
from mcp_packager.contract.extract import ExtractRequest, extract

__all__ = [
    "Contract",
    "ContractChange",
    "ExtractRequest",
    "announcing",
    "compare",
    "contract_of",
    "extract",
    "needs_major",
]
