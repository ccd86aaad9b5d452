"""What a look at an endpoint from a client's side found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from mcp_packager.target.release import Endpoint, Intent


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked at an endpoint, and what could not be from here. Each is a line for people.

    ``contract`` is what was read there, where nobody knew before what the server shows.
    """

    checked: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    contract: Mapping[str, Any] | None = None

    def and_then(self, later: Verification) -> Verification:
        """Both together, each line once."""
        return Verification(
            tuple(dict.fromkeys(self.checked + later.checked)),
            tuple(dict.fromkeys(self.unverified + later.unverified)),
            later.contract or self.contract,
        )


Verify: TypeAlias = Callable[[Endpoint, Intent], Verification]
"""Speak to the endpoint as a client would and hold it against the intent.

Raises a ``PackError`` when what is served is not what is wanted.
"""
