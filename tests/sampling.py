"""Long matrices run sampled, by a seed that the session prints; with `MCP_PACK_TEST_ALL` set they run whole.

`MCP_PACK_TEST_SEED=N make test` runs the sample of another session again.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import TypeVar

ALL = "MCP_PACK_TEST_ALL"
SEED = "MCP_PACK_TEST_SEED"

T = TypeVar("T")


def whole() -> bool:
    """Whether everything is to run."""
    return bool(os.environ.get(ALL))


def seed() -> int:
    """The session's seed, the same in every worker of it."""
    return int(os.environ.setdefault(SEED, str(random.SystemRandom().randrange(1_000_000))))


def sampled(cases: Sequence[T], most: int, *, of: str) -> list[T]:
    """All cases where everything is to run, else `most` of them in their order.

    `of` names the matrix, so that each draws for itself.
    """
    if whole() or len(cases) <= most:
        return list(cases)
    chosen = sorted(random.Random(f"{seed()} {of}").sample(range(len(cases)), most))
    return [cases[place] for place in chosen]


def says() -> str:
    """How this session runs its matrices, for its header."""
    return "matrices run whole" if whole() else f"matrices run sampled, {SEED}={seed()}"
