"""Intents and releases: what a deploy wants, whole, and what it left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from mcp_packager.target.artifact import Artifact
from mcp_packager.target.identity import Identity
from mcp_packager.target.resources import Resource
from mcp_packager.target.schema import check_schema
from mcp_packager.target.values import digest

RELEASE_SCHEMA = 1


class Auth(StrEnum):
    """How a client proves who it is at an endpoint."""

    NONE = "none"
    BEARER = "bearer"
    """One of the endpoint's static keys, as a bearer token."""
    JWT = "jwt"
    OIDC = "oidc"
    """A bearer token that the issuer signed."""
    IAM = "iam"
    """A request that the platform's own credentials signed."""

    @property
    def by_token(self) -> bool:
        """Whether a caller shows a token in the header ``Authorization``."""
        return self in {Auth.BEARER, Auth.JWT, Auth.OIDC}


class Via(StrEnum):
    """Which way an endpoint is reached."""

    PUBLIC = "public"
    """As any client reaches it."""
    CLUSTER = "cluster"
    """From inside the cluster that it runs in."""
    INVOKE = "invoke"
    """Through the platform's own call to start the code, without its address."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a client reaches a server: a URL, or a command that speaks stdio.

    Beside a URL that asks for signed requests, the command is what signs them, for clients that do not.

    ``headers`` go with every request of ours (a Host for a private address); they hold no secret. ``via`` is for the
    moment alone: what is recorded is how clients reach it. So is ``settles``: seconds that what stands in front of the
    server may take to notice a switch, and until then may answer for it or lead to what served before.
    """

    url: str | None = None
    command: tuple[str, ...] = ()
    auth: Auth = Auth.NONE
    headers: Mapping[str, str] = field(default_factory=dict)
    via: Via = Via.PUBLIC
    settles: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain data, for records and ``--json``."""
        return {
            "url": self.url,
            "command": list(self.command),
            "auth": self.auth.value,
            "headers": dict(self.headers),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Endpoint:
        """The inverse of :meth:`as_json`."""
        return cls(
            url=document["url"],
            command=tuple(document["command"]),
            auth=Auth(document["auth"]),
            headers=dict(document["headers"]),
        )


@dataclass(frozen=True, slots=True)
class Call:
    """One call that proves the server works: ``[[verify.call]]`` of the manifest.

    ``error`` says whether the tool is to answer with an error, ``contains`` a text that the answer's text must hold,
    ``structured`` what the structured answer must hold. ``timeout`` is in seconds.
    """

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    error: bool = False
    contains: str | None = None
    structured: Any = None
    timeout: float = 30.0

    def as_json(self) -> dict[str, Any]:
        """Plain data, for release records."""
        return {
            "tool": self.tool,
            "arguments": dict(self.arguments),
            "error": self.error,
            "contains": self.contains,
            "structured": self.structured,
            "timeout": self.timeout,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Call:
        """The inverse of :meth:`as_json`."""
        return cls(**document)


@dataclass(frozen=True)
class Intent:
    """Everything one deploy wants on one target: what a release will have been.

    ``contract`` is the contract document, each era's ready answers left out; empty where it is to be read.
    ``config`` is the document the runtime reads, Refs and all.
    """

    identity: Identity
    target: str
    artifact: Artifact
    config: Mapping[str, Any]
    contract: Mapping[str, Any]
    resources: tuple[Resource, ...]
    calls: tuple[Call, ...] = ()
    keep: int = 5
    """How many earlier releases stay with all that a rollback needs."""
    via: Via | None = None
    """The one way to look at what is served; ``None``: as clients reach it, else from inside."""

    def showing(self, contract: Mapping[str, Any]) -> Intent:
        """The same, now that it is known what the server shows."""
        artifact = replace(self.artifact, contract_hash=str(contract["hash"]))
        return replace(self, contract=contract, artifact=artifact)

    @cached_property
    def fingerprint(self) -> str:
        """One hash over what clients could notice; the same for the same wish."""
        return digest(
            {
                "artifact": self.artifact.as_json(),
                "resources": sorted((resource.as_json() for resource in self.resources), key=str),
                "contract": self.contract.get("hash"),
                "calls": [call.as_json() for call in self.calls],
            }
        )

    def as_json(self) -> dict[str, Any]:
        """Plain data, for release records."""
        return {
            "identity": self.identity.as_json(),
            "target": self.target,
            "artifact": self.artifact.as_json(),
            "config": dict(self.config),
            "contract": dict(self.contract),
            "resources": [resource.as_json() for resource in self.resources],
            "calls": [call.as_json() for call in self.calls],
            "keep": self.keep,
            **({} if self.via is None else {"via": self.via.value}),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Intent:
        """The inverse of :meth:`as_json`."""
        return cls(
            identity=Identity(**document["identity"]),
            target=document["target"],
            artifact=Artifact.from_json(document["artifact"]),
            config=document["config"],
            contract=document["contract"],
            resources=tuple(Resource.from_json(item) for item in document["resources"]),
            calls=tuple(Call.from_json(item) for item in document["calls"]),
            keep=document["keep"],
            via=Via(document["via"]) if "via" in document else None,
        )


class Outcome(StrEnum):
    """How a deploy ended."""

    DEPLOYED = "deployed"
    FAILED = "failed"


@dataclass(frozen=True)
class Release:
    """What a deploy left. ``when`` is RFC 3339 in UTC; ``rollback_of`` is the release a rollback went back to."""

    number: int
    intent: Intent
    endpoint: Endpoint
    who: str
    when: str
    outcome: Outcome = Outcome.DEPLOYED
    detail: str = ""
    rollback_of: int | None = None
    verified: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The release document."""
        return {
            "schema": RELEASE_SCHEMA,
            "number": self.number,
            "intent": self.intent.as_json(),
            "endpoint": self.endpoint.as_json(),
            "who": self.who,
            "when": self.when,
            "outcome": self.outcome.value,
            "detail": self.detail,
            "rollback_of": self.rollback_of,
            "verified": list(self.verified),
            "unverified": list(self.unverified),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, where: str | None = None) -> Release:
        """Read a document of this or an older schema.

        Raises:
            WorldError: the document was written by a newer version.
        """
        check_schema(document, "release record", RELEASE_SCHEMA, where=where)
        return cls(
            number=document["number"],
            intent=Intent.from_json(document["intent"]),
            endpoint=Endpoint.from_json(document["endpoint"]),
            who=document["who"],
            when=document["when"],
            outcome=Outcome(document["outcome"]),
            detail=document["detail"],
            rollback_of=document["rollback_of"],
            verified=tuple(document["verified"]),
            unverified=tuple(document["unverified"]),
        )

    def renumbered(self, number: int) -> Release:
        """The same release under another number, for when another writer took this one."""
        return replace(self, number=number)


def held_contract(document: Mapping[str, Any]) -> dict[str, Any]:
    """The contract document as a release keeps it: without each era's ready answers, which follow from the rest."""
    return {key: value for key, value in document.items() if key != "answers"}
