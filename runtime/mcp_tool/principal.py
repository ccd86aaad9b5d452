"""Who is calling, as authentication found out. Knows nothing of transports."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Kind = Literal["anonymous", "bearer", "jwt", "iam", "probe"]


@dataclass(frozen=True)
class Principal:
    """A caller.

    Attributes:
        kind: How it was found out; "anonymous" where nobody asks, "probe" for the deploy that looks at the server.
        subject: Who, in the issuer's words; for a static key the name of the key, never the key.
        issuer: Who vouches for the subject; empty where nobody does.
        client_id: The OAuth client that acts for the subject, where the token names one.
        scopes: What it may do, by OAuth scope.
        claims: The claims of a verified token, as they stand in it.
    """

    kind: Kind
    subject: str = ""
    issuer: str = ""
    client_id: str = ""
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits that stand for the caller in logs; empty for an anonymous one."""
        if self.kind == "anonymous":
            return ""
        return hashlib.sha256(f"{self.kind}\0{self.issuer}\0{self.subject}".encode()).hexdigest()[:12]

    def may(self, scopes: frozenset[str]) -> bool:
        """Whether it holds all of the scopes. The deploy's probe looks at every tool; an open server asks nobody."""
        return not scopes or self.kind in {"anonymous", "probe"} or scopes <= self.scopes


ANONYMOUS = Principal("anonymous")
