"""What every caller has to pass: made of how they prove themselves, and of what this server is to OAuth clients."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_tool.config import BearerAuth, Config, IamAuth, JwtAuth
from mcp_tool.principal import Principal
from mcp_tool.serve.auth import shown
from mcp_tool.serve.auth.keys import StaticKeys
from mcp_tool.serve.auth.probe import PREFIX, ProbeKey
from mcp_tool.serve.auth.resource import Resource, endpoint
from mcp_tool.serve.auth.shown import Denied
from mcp_tool.serve.http.gates import Headers, Refusal
from mcp_tool.serve.problem import StartProblem

Asked = BearerAuth | JwtAuth | IamAuth

Proof = Callable[[Mapping[str, Any], Headers, str | Denied], Awaitable[Principal | Denied]]
"""Who a request is from, by its ASGI scope, its headers, and the bearer token that it shows."""

_QUOTABLE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""What may stand between quotation marks in a header as it is; a scope is made of nothing else (RFC 6749, 3.3)."""

_MISSING: Final = {
    "bearer": "A bearer key is needed; who runs this server gives them out",
    "jwt": "A bearer token is needed",
    "oidc": "A bearer token is needed",
    "iam": "What stands in front of this server has not said who is calling",
}

_UNCLEAR: Final = Refusal(
    503,
    "Who gives tokens for this server cannot be reached at the moment",
    "issuer",
    headers=((b"retry-after", b"5"),),  # when the issuer is asked again: `issuer.PAUSE`
)


@dataclass(frozen=True)
class Doorkeeper:
    """Asks every caller who it is. Implements `mcp_tool.serve.http.gates.Authenticator`.

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
                return _UNCLEAR

    def metadata(self, scope: Mapping[str, Any], headers: Headers) -> bytes | None:
        """The document for a well-known path (RFC 9728)."""
        return self.resource.metadata(scope, headers)

    def forbidden(self, scope: Mapping[str, Any], headers: Headers, scopes: frozenset[str]) -> Refusal:
        """The 403 for a caller that lacks scopes of one tool."""
        return self.resource.forbidden(scope, headers, scopes)


def prepare(config: Config, asked: Asked) -> Callable[[Mapping[str, frozenset[str]]], Doorkeeper]:
    """What makes the doorkeeper, once it is known which scopes each tool asks for; keys are read now.

    Raises:
        StartProblem: A key is missing; when it is called also: a setting cannot work.
    """
    settings = config.serve
    probe = None if settings.probe is None else ProbeKey.read(settings.probe)
    proof = _proof(config, asked)

    def make(scopes: Mapping[str, frozenset[str]]) -> Doorkeeper:
        required = frozenset(asked.scopes) if isinstance(asked, JwtAuth) else frozenset()
        offered = required.union(*scopes.values())
        if unsayable := sorted(name for name in offered if not _QUOTABLE.fullmatch(name)):
            raise StartProblem(
                f"not OAuth scopes: {', '.join(map(repr, unsayable))}",
                "a scope holds no space, quotation mark or backslash",
            )
        issuers = (asked.issuer,) if isinstance(asked, JwtAuth) else ()
        url = endpoint(settings.public_url, settings.path)
        if url is not None and not _QUOTABLE.fullmatch(url):
            raise StartProblem(
                "public_url under serve holds what no URL does",
                "write signs beyond ASCII as xn--… and %XX",
            )
        resource = Resource(settings.path, url, settings.root_metadata, issuers, required, offered)
        return Doorkeeper(resource, proof(resource), _MISSING[asked.mode], probe)

    return make


def _proof(config: Config, asked: Asked) -> Callable[[Resource], Proof]:
    match asked:
        case BearerAuth():
            keys = StaticKeys.read(asked.keys)
            return lambda resource: keys.granting(resource.offered)
        case JwtAuth():
            return _tokens(config, asked)
        case IamAuth():
            from mcp_tool.serve.auth.platform import PlatformWord

            word = PlatformWord(config.serve.trusted_proxies)
            return lambda _: word


def _tokens(config: Config, asked: JwtAuth) -> Callable[[Resource], Proof]:
    from mcp_tool.serve.auth.fetching import is_allowed
    from mcp_tool.serve.auth.issuer import KeyRing
    from mcp_tool.serve.auth.tokens import Tokens

    for name, url in (("issuer", asked.issuer), ("jwks_url", asked.jwks_url)):
        if url is not None and not is_allowed(url):
            raise StartProblem(f"the {name} under serve.auth is not an https address", "use https, or http on loopback")
    if config.serve.public_url is None and asked.audience is None and "*" in config.serve.allowed_hosts:
        # Else whoever has a token for another server could say here that they meant that one.
        raise StartProblem(
            "the server answers to any Host, so a token's audience cannot be told by it",
            "set public_url under [serve], or audience under [serve.auth]",
        )
    keys = KeyRing(asked.issuer, asked.jwks_url)
    return lambda resource: Tokens(asked, resource, keys)
