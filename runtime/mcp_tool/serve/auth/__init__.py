"""Who may call: static keys, tokens of an issuer, the platform's word, and the deploy's own probe."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_tool.config import BearerAuth, Config, IamAuth, JwtAuth, NoAuth
from mcp_tool.principal import Principal
from mcp_tool.serve.auth import shown
from mcp_tool.serve.auth.keys import StaticKeys
from mcp_tool.serve.auth.probe import PREFIX, ProbeKey
from mcp_tool.serve.auth.resource import Resource, endpoint
from mcp_tool.serve.auth.shown import Denied
from mcp_tool.serve.gates import Authenticator, Headers, Refusal
from mcp_tool.serve.problem import StartProblem

Proof = Callable[[Mapping[str, Any], Headers, str | Denied], Awaitable[Principal | Denied]]
"""Who a request is from, by its ASGI scope, its headers, and the bearer token that it shows."""

_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""RFC 6749, section 3.3."""

_MISSING: Final = {
    "bearer": "A bearer key is needed; who runs this server gives them out",
    "jwt": "A bearer token is needed",
    "oidc": "A bearer token is needed",
    "iam": "What stands in front of this server has not said who is calling",
}


@dataclass(frozen=True)
class Doorkeeper:
    """Asks every caller who it is. Implements `mcp_tool.serve.gates.Authenticator`.

    Attributes:
        resource: What the caller wants to reach.
        proof: Tells by a request who it is from.
        missing: What to say to a caller who shows nothing.
        probe: Tells the deploy's own tokens; None trusts none.
    """

    resource: Resource
    proof: Proof
    missing: str
    probe: ProbeKey | None = None

    async def __call__(self, scope: Mapping[str, Any], headers: Headers) -> Principal | Refusal:
        """The caller, or why it is not let in. What it showed is in neither."""
        token = shown.token(scope)
        if self.probe is not None and isinstance(token, str) and token.startswith(PREFIX):
            who = self.probe(token)
        else:
            who = await self.proof(scope, headers, token)
        match who:
            case Principal():
                if who.may(self.resource.required):
                    return who
                return self.resource.forbidden(scope, headers, frozenset())
            case Denied.NOTHING:
                return self.resource.unknown(scope, headers, self.missing)
            case Denied.INVALID:
                return self.resource.unknown(scope, headers, None)
            case Denied.UNCLEAR:
                text = "Who gives tokens for this server cannot be reached at the moment"
                return Refusal(503, text, "issuer", headers=((b"retry-after", b"5"),))

    def metadata(self, scope: Mapping[str, Any], headers: Headers) -> bytes | None:
        """The document for a well-known path (RFC 9728)."""
        return self.resource.metadata(scope, headers)

    def forbidden(self, scope: Mapping[str, Any], headers: Headers, scopes: frozenset[str]) -> Refusal:
        """The 403 for a caller that lacks scopes of one tool."""
        return self.resource.forbidden(scope, headers, scopes)


def authenticator(config: Config, scopes: Mapping[str, frozenset[str]]) -> Authenticator | None:
    """What asks every caller who it is; None where nobody is asked.

    Args:
        config: Where the server runs; its `serve.auth` and `serve.probe` count.
        scopes: By tool, the scopes that its caller must have.

    Raises:
        StartProblem: A key is missing, or a setting cannot work.
    """
    settings = config.serve
    auth = settings.auth
    if auth is None or isinstance(auth, NoAuth):
        return None
    required = frozenset(auth.scopes) if isinstance(auth, JwtAuth) else frozenset()
    of_tools = frozenset[str]().union(*scopes.values())
    if unsayable := sorted(name for name in required | of_tools if not _SCOPE.fullmatch(name)):
        raise StartProblem(
            f"not OAuth scopes: {', '.join(map(repr, unsayable))}",
            "a scope holds no space, quotation mark or backslash",
        )
    resource = Resource(
        settings.path,
        endpoint(settings.public_url, settings.path),
        settings.root_metadata,
        (auth.issuer,) if isinstance(auth, JwtAuth) else (),
        required,
        required | of_tools,
    )
    probe = None if settings.probe is None else ProbeKey.read(settings.probe)
    return Doorkeeper(resource, _proof(config, auth, resource, of_tools), _MISSING[auth.mode], probe)


def _proof(config: Config, auth: BearerAuth | JwtAuth | IamAuth, resource: Resource, of_tools: frozenset[str]) -> Proof:
    match auth:
        case BearerAuth():
            return StaticKeys.read(auth.keys, of_tools)
        case JwtAuth():
            return _tokens(config, auth, resource)
        case IamAuth():
            from mcp_tool.serve.auth.platform import PlatformWord

            return PlatformWord(config.serve.trusted_proxies)


def _tokens(config: Config, auth: JwtAuth, resource: Resource) -> Proof:
    from mcp_tool.serve.auth.fetching import is_allowed
    from mcp_tool.serve.auth.issuer import KeyRing
    from mcp_tool.serve.auth.tokens import Tokens

    for name, url in (("issuer", auth.issuer), ("jwks_url", auth.jwks_url)):
        if url is not None and not is_allowed(url):
            raise StartProblem(f"the {name} under serve.auth is not an https address", "use https, or http on loopback")
    if resource.public_url is None and auth.audience is None and "*" in config.serve.allowed_hosts:
        # Else whoever has a token for another server could say here that they meant that one.
        raise StartProblem(
            "the server answers to any Host, so a token's audience cannot be told by it",
            "set public_url under [serve], or audience under [serve.auth]",
        )
    return Tokens(auth, resource, KeyRing(auth.issuer, auth.jwks_url))
