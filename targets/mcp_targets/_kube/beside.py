"""What of a deployment lives beside the cluster: the cloud's own resources, in the same plan and the same phases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from mcp_packager.target import Key, Kind, Observed, Plan, Step, Value


class Look(Protocol):
    """A way to read a cluster, for checks that need to see more of it than one deployment owns."""

    def listing(self, api_version: str, kind: str, *, namespace: str | None = None, selector: str = "") -> list[Any]:
        """Every object of a kind in the namespace (``None``: in all of them); nothing where the kind is not known.

        Raises:
            PackError: the cluster does not answer, or does not let us read that.
        """
        ...


class Beside(Protocol):
    """A cloud's resources of one deployment. What holds for a world's methods holds for these."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Its kinds, in the order in which they are made. They are made before the cluster's own, and go after them."""
        ...

    def observe(self) -> Mapping[Key, Observed]:
        """Everything there is that this deployment owns."""
        ...

    def rehearse(self, plan: Plan, cluster: Look) -> tuple[str, ...]:
        """Refuse what must not be applied, before the first write; the lines say what could not be looked at.

        Raises:
            PackError: what the plan wants is in conflict with what is there.
        """
        ...

    def secret(self, scheme: str, rest: str) -> bytes | None:
        """The value of a secret that the cloud keeps; ``None`` where it has none of that name. Read only in apply.

        Raises:
            PackError: the cloud refuses, or keeps no secrets of that scheme.
        """
        ...

    def notes(self, cluster: Look) -> tuple[str, ...]:
        """What a deploy leaves for people to do, as far as the cluster shows it."""
        ...

    def apply(self, step: Step) -> Mapping[str, Value]:
        """Make one change of one of its kinds."""
        ...
