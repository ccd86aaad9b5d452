"""What the objects of one deployment are called, and the labels that prove whose they are.

Names and label values are at most 63 letters, digits and hyphens
(https://kubernetes.io/docs/concepts/overview/working-with-objects/names/); a controller adds a hash of ten to a
StatefulSet's for a label, and a Pod of a Deployment has two hashes behind its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mcp_packager.target import Alphabet, Identity

MANAGER: Final = "mcp-pack"
"""Field manager, and ``app.kubernetes.io/managed-by``."""

SERVER: Final = "server"
"""``app.kubernetes.io/component`` of the tool's own Pods, the candidate among them."""

URL: Final = "mcp-pack/url"
AUTH: Final = "mcp-pack/auth"
"""Annotations of the tool's Deployment and Pods: where clients reach the endpoint, and how they prove who they are."""

TRIED: Final = "mcp-pack/canary"
"""Label of a canary and its Pods, which the Deployment's own lack."""

_NAME: Final = Alphabet(length=47)


@dataclass(frozen=True, slots=True)
class Names:
    """Names and labels for one identity."""

    identity: Identity

    @property
    def base(self) -> str:
        """The name of Deployment, Service, Ingress and all else that there is one of."""
        return self.of()

    def of(self, *parts: str) -> str:
        """The name of a part of the deployment."""
        return self.identity.name(*parts, alphabet=_NAME)

    def service(self, name: str) -> str:
        """The name of a dependency's StatefulSet and Service, which is its host name in the namespace too."""
        return self.of("service", name)

    def component(self, service: str) -> str:
        """``app.kubernetes.io/component`` of a dependency."""
        return f"service-{service}"

    def labels(self, component: str = SERVER) -> dict[str, str]:
        """Labels of every object: whose it is, and which part of the deployment."""
        return {
            "app.kubernetes.io/name": self.identity.tool,
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/part-of": self.identity.project,
            "app.kubernetes.io/managed-by": MANAGER,
            **self.identity.labels(),
        }

    def selector(self, instance: str | None = None) -> dict[str, str]:
        """The two labels that a selector names: what they select can never change."""
        return {"app.kubernetes.io/name": self.identity.tool, "app.kubernetes.io/instance": instance or self.base}

    def servers(self) -> dict[str, str]:
        """Labels that the tool's Pods have, those that serve clients and the candidate alike, and nobody else's."""
        return {"app.kubernetes.io/component": SERVER, **self.identity.labels()}

    @property
    def ours(self) -> str:
        """The label selector of a listing that holds this deployment's objects alone."""
        return ",".join(f"{name}={value}" for name, value in self.identity.labels().items())


def label_value(text: str) -> str:
    """A text as a label's value: what its alphabet lacks becomes a hyphen."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in text)
    return plain[:63].strip("-_.")
