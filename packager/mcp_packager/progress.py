"""How the services tell what they are doing, without knowing who shows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """Receives stages and notes. Implementations never raise."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Time a stage of work under a short name such as ``resolve`` or ``bytecode``."""
        ...

    def note(self, text: str) -> None:
        """Say one thing a person should see, such as the untracked files that were taken."""
        ...


class Silent:
    """Shows nothing."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:  # noqa: ARG002 - the protocol names it
        """Do the work, say nothing."""
        yield

    def note(self, text: str) -> None:
        """Say nothing."""
