"""``[serve]``: how clients reach the server and who may call."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from mcp_packager.manifest.section import Many, Section
from mcp_packager.manifest.units import Body, Delay, Duration
from mcp_packager.manifest.words import EVENTS, Cidr, HostName, Port, UrlPath, Word

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


def _address(text: str) -> str:
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
    return text


def _url(text: str) -> str:
    return _address(text).rstrip("/")


def _collector(text: str) -> str:
    """A collector sits beside the server, so its address need not be encrypted."""
    _judge(text, ("http", "https"), "http://host:4318, without user, query and fragment", "Remove user and password")
    return text.rstrip("/")


def _events(text: str) -> str:
    if not text.startswith("env:"):
        expected = "redis://host[:port][/db] without a password, or env:NAME"
        _judge(text, ("redis", "rediss"), expected, 'Put the whole address into a secret and write "env:NAME"')
    return text


def _judge(text: str, schemes: tuple[str, ...], expected: str, private: str) -> None:
    """Refuse what is no address, or more than one; ``private`` is how to mend one that holds a password."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or parts.scheme not in schemes:
        raise PydanticCustomError("address", "is not an address", {"expected": expected})
    if parts.username is not None or parts.password is not None:
        raise PydanticCustomError(
            "address_private", "holds a user or a password", {"expected": expected, "fix": private}
        )
    if parts.query or parts.fragment:
        raise PydanticCustomError(
            "address_more", "holds more than an address", {"expected": expected, "fix": "Remove query and fragment"}
        )


def _somebody(cidr: str) -> str:
    if cidr.endswith("/0"):
        raise PydanticCustomError(
            "everybody",
            "trusts everybody",
            {
                "expected": "the networks of your own proxies: whoever is in them says what address a caller has",
                "fix": "Name the proxy's network, such as 10.0.0.0/8, or its address with /32",
            },
        )
    return cidr


_URL: Final = r"^https?://[^\u0000-\u0020\u007f-\u009f\u2028\u2029]+$"

Url = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=_URL), AfterValidator(_url)]
Address = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=_URL), AfterValidator(_address)]
"""As it was written: an issuer's name is compared sign by sign, and some end with a slash (RFC 8414, section 3.3)."""
CollectorUrl = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=_URL), AfterValidator(_collector)]
Events = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=EVENTS), AfterValidator(_events)]
ProxyNetwork = Annotated[Cidr, AfterValidator(_somebody)]
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
    issuer: Address = Field(description="Who signs the tokens")
    jwks_url: Address | None = Field(
        None, description="Where the issuer's keys are; required for jwt, discovered for oidc"
    )
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


class Rate(Section):
    """``rate``: how often one caller may call."""

    calls: Annotated[int, Field(ge=1, le=1_000_000)] = Field(description="Calls that one caller may make")
    per: Duration = Field(60.0, description="In which time")
    burst: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="How many of them at once; as many as calls where unset"
    )
    shared: bool = Field(default=False, description="Counted across all copies, in the Redis of events")


class Metrics(Section):
    """``[serve.metrics]``: figures for Prometheus, on a port of their own."""

    port: Port = Field(9464, description="Port that /metrics is on; no client gets there")


class Telemetry(Section):
    """``[serve.telemetry]``: traces and metrics for an OpenTelemetry collector."""

    otlp: CollectorUrl = Field(description="Base address of the collector, which takes OTLP over HTTP")
    sample: Annotated[float, Field(strict=False, ge=0, le=1)] = Field(
        1.0, description="Share of the traces begun here that is kept"
    )


class Audit(Section):
    """``[serve.audit]``: who called which tool, apart from the log."""

    to: Literal["none", "stderr", "file", "otlp"] = Field(
        "stderr", description="Where it goes: none, stderr, file or otlp"
    )


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
    max_body: Body = Field(4 << 20, description="Largest request that is taken")
    trusted_proxies: Many[ProxyNetwork] = Field(
        (), description="Networks of the proxies in front, whose X-Forwarded headers are believed"
    )
    events: Events | None = Field(
        None,
        description="The Redis through which copies tell each other of changes: redis://…, or env:NAME of a variable "
        "or secret that holds it; none where there is one copy",
    )
    rate: Rate | None = Field(None, description="How often one caller may call; not counted where unset")
    auth: Auth | None = Field(None, description="Who may call; what is safe where it runs, where unset")
    metrics: Metrics | None = Field(None, description="Figures for Prometheus; none where unset")
    telemetry: Telemetry | None = Field(None, description="Traces and metrics for a collector; none where unset")
    audit: Audit | None = Field(None, description="Who called what; not written down where unset")

    @property
    def keys(self) -> tuple[str, ...]:
        """The secrets that callers show: the server's own, never the code's."""
        return self.auth.keys if isinstance(self.auth, BearerAuth) else ()
