"""The contract: what a server shows its clients. Extracted in a child process, and hashed.

The module ``compare`` holds two against each other.
"""

from __future__ import annotations

from mcp_packager.contract.document import Contract, contract_of
from mcp_packager.contract.extract import ExtractRequest, extract

__all__ = [
    "Contract",
    "ExtractRequest",
    "contract_of",
    "extract",
]
