"""``[serve]``: how clients reach the server and who may call."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from mcp_packager.manifest.section import Many, Section
from mcp_packager.manifest.units import Delay, Duration
from mcp_packager.manifest.words import HostName, UrlPath, Word

_RESERVED = ("/healthz", "/readyz", "/metrics", "/.well-known")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _free(path: str) -> str:
    if any(path == taken or path.startswith(f"{taken}/") for taken in _RESERVED):
        raise PydanticCustomError(
            "path_reserved",
            "is the runtime's own",
            {"expected": "another path than " + ", ".join(_RESERVED), "fix": "Use /mcp"},
        )
    if any(part in {".", ".."} for part in path.split("/")):
        raise PydanticCustomError("path_dots", "has dot segments", {"expected": "a plain path such as /mcp"})
    return path


def _url(text: str) -> str:
    expected = {"expected": "https://host[:port][/path]; http:// for this machine alone"}
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise PydanticCustomError("url", "is not a URL", expected) from None
    if not host or parts.scheme not in {"http", "https"} or " " in text:
        raise PydanticCustomError("url", "is not a URL", expected)
    if parts.username is not None or parts.query or parts.fragment:
        raise PydanticCustomError(
            "url", "holds more than an address", {**expected, "fix": "Remove user, query and fragment"}
        )
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise PydanticCustomError("url", "is not encrypted", {**expected, "fix": "Use https"})
    return text.rstrip("/")


Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=500, pattern=r"^https?://[^\u0000-\u0020\u007f-\u009f\u2028\u2029]+$"),
    AfterValidator(_url),
]
ServePath = Annotated[UrlPath, AfterValidator(_free)]


class NoAuth(Section):
    """``mode = "none"``: anybody who reaches the endpoint may call."""

    mode: Literal["none"] = Field(description="none, bearer, jwt, oidc or iam; here: nobody is asked who they are")
    insecure_public: bool = Field(default=False, description="Allow it where the endpoint faces the internet")


class BearerAuth(Section):
    """``mode = "bearer"``: static keys."""

    mode: Literal["bearer"] = Field(description="Here: callers show one of the keys")
    keys: Annotated[Many[Word], Field(min_length=1)] = Field(
        description="Names of declared secrets that hold the keys; several while a key is changed for a new one"
    )


class JwtAuth(Section):
    """``mode = "jwt"`` or ``"oidc"``: signed tokens of an issuer."""

    mode: Literal["jwt", "oidc"] = Field(
        description="Here: callers show a token of the issuer; oidc finds its keys by discovery"
    )
    issuer: Url = Field(description="Who signs the tokens")
    jwks_url: Url | None = Field(None, description="Where the issuer's keys are; required for jwt, discovered for oidc")
    audience: Word | None = Field(None, description="aud that a token must have; the server's own URL by default")
    algorithms: Annotated[Many[Literal["RS256", "ES256", "EdDSA"]], Field(min_length=1)] = Field(
        ("RS256", "ES256", "EdDSA"), description="Accepted signatures"
    )
    scopes: Many[Word] = Field((), description="Scopes that every token must have")

    @model_validator(mode="after")
    def _keys(self) -> Self:
        if self.mode == "jwt" and self.jwks_url is None:
            raise PydanticCustomError(
                "jwks_missing",
                "has mode jwt and no jwks_url",
                {"expected": "jwks_url, or mode oidc", "fix": 'Add jwks_url = "https://…", or use mode = "oidc"'},
            )
        return self


class IamAuth(Section):
    """``mode = "iam"``: the platform has authenticated the caller."""

    mode: Literal["iam"] = Field(description="Here: the platform asks who they are")


Auth = Annotated[NoAuth | BearerAuth | JwtAuth | IamAuth, Field(discriminator="mode")]


class Serve(Section):
    """How clients reach the server. Everything has a default that works."""

    path: ServePath = Field("/mcp", description="Path of the MCP endpoint")
    public_url: Url | None = Field(
        None, description="Address that clients use, without the path; the target's own where unset"
    )
    timeout: Duration = Field(60.0, description="Longest that a call may take; a tool's decorator may say less")
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = Field(100, description="Calls at once in one process")
    hosts: Many[HostName] = Field((), description="Further host names it answers to")
    origins: Many[Url] = Field((), description="Web origins that may call from a browser")
    drain: Delay = Field(5.0, description="Time between the order to stop and the refusal of new calls")
    auth: Auth | None = Field(None, description="Who may call; what is safe where it runs, where unset")
