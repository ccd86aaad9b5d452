"""Schema numbers of the documents that outlive a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_packager.errors import Place, Problem, WorldError


def check_schema(document: Mapping[str, Any], what: str, newest: int, *, where: str | None = None) -> int:
    """The document's schema number, if this version can read it.

    Raises:
        WorldError: the document has no schema number, or one newer than ``newest``.
    """
    number = document.get("schema")
    place = Place(file=where)
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise WorldError(
            Problem(f"the {what} has no schema number", "it was not written by mcp-pack; restore or remove it", place)
        )
    if number > newest:
        raise WorldError(
            Problem(
                f"the {what} was written by a newer mcp-pack",
                "install the mcp-pack version that wrote it, or a later one",
                place,
                expected=f"schema {newest} or older",
                found=f"schema {number}",
            )
        )
    return number
