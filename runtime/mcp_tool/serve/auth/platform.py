"""The platform has authenticated the caller; here is read whom it found.

Behind a load balancer of AWS that signs users in (Elastic Load Balancing user guide, "Authenticate users using an
Application Load Balancer"), by header, believed only of a peer within `trusted_proxies`, since anybody else can write
them:

    x-amzn-oidc-identity: the user's `sub`
    x-amzn-oidc-data:     the balancer's JWT; header {"iss", "client", "signer", "exp", …}, payload: the user's claims

In a Lambda function, by what the adapter leaves of the event's `requestContext` as `Platform.identity`, of one of these
forms (API Gateway developer guide, "Working with AWS Lambda proxy integrations"; Lambda developer guide, "Invoking
Lambda function URLs"):

    {"authorizer": {"iam": {"userArn", "accountId", "callerId", "userId", …}}}   HTTP API, function URL: signed for AWS
    {"authorizer": {"jwt": {"claims": {"sub", "iss", "scope", …}}}}              HTTP API: a token it has verified
    {"authorizer": {"claims": {"sub", "iss", …}}}                                REST API: Cognito
    {"authorizer": {"principalId": …} | {"lambda": {"principalId": …}}}          an authorizer function
    {"identity": {"userArn", "accountId", "caller", "user", …}}                  REST API: signed for AWS
    {"elb": {"targetGroupArn"}}                                                  a load balancer: its headers, as above

The platform says who may come in at all. Scopes are those of a token that it names, and there are none where it names
none: a tool that asks for a scope is then for nobody.
"""

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final

from mcp_tool.principal import Principal
from mcp_tool.serve.auth.claims import client_of, frozen, scopes_of
from mcp_tool.serve.auth.shown import Denied
from mcp_tool.serve.http.gates import PEER, PLATFORM, Headers, Platform

_IDENTITY: Final = b"x-amzn-oidc-identity"
_DATA: Final = b"x-amzn-oidc-data"
_AWS: Final = "sts.amazonaws.com"
_SKEW: Final = 30.0


class PlatformWord:
    """Takes the platform's word for who is calling.

    Args:
        trusted: Networks of the load balancers whose headers are believed.
        clock: Seconds since the epoch.
    """

    def __init__(self, trusted: Sequence[IPv4Network | IPv6Network], clock: Callable[[], float] = time.time) -> None:
        self._trusted = tuple(trusted)
        self._clock = clock

    async def __call__(self, scope: Mapping[str, Any], headers: Headers, shown: str | Denied) -> Principal | Denied:  # noqa: ARG002 - what the client shows was the platform's business
        """Whom the platform found; nobody where it says nothing, or somebody else might have said it."""
        platform = scope.get(PLATFORM)
        if isinstance(platform, Platform):
            told = platform.identity
            if told is None:
                return Denied.NOTHING
            return self._signed_in(scope, headers) if "elb" in told else of_event(told)
        return self._signed_in(scope, headers) if self._trusts(_peer(scope)) else Denied.NOTHING

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        parsed = getattr(parsed, "ipv4_mapped", None) or parsed
        return any(parsed.version == network.version and parsed in network for network in self._trusted)

    def _signed_in(self, scope: Mapping[str, Any], headers: Headers) -> Principal | Denied:
        """The user whom the load balancer has signed in."""
        if len([name for name, _ in scope["headers"] if name in {_IDENTITY, _DATA}]) > 2:
            return Denied.INVALID  # one of them is not the balancer's
        subject = headers.get(_IDENTITY, b"").decode("latin-1")
        if not subject:
            return Denied.NOTHING
        data = headers.get(_DATA)
        if data is None:
            return Principal("iam", subject)
        try:
            head, claims = (_part(part) for part in data.split(b".")[:2])
        except (ValueError, TypeError, RecursionError):
            return Denied.INVALID
        expires = head.get("exp", claims.get("exp"))
        if not isinstance(expires, int) or self._clock() >= expires + _SKEW:
            return Denied.INVALID
        if claims.get("sub", subject) != subject:
            return Denied.INVALID
        issuer, client = head.get("iss", ""), head.get("client", "")
        return Principal("iam", subject, str(issuer), str(client), frozenset(), frozen(claims))


def of_event(context: Mapping[str, Any]) -> Principal | Denied:
    """The caller by an event's `requestContext`; the forms are those at the top."""
    match context:
        case {"authorizer": {"iam": {"userArn": str(arn)} as found}} | {"identity": {"userArn": str(arn)} as found}:
            account = f"{_AWS}/{found['accountId']}" if isinstance(found.get("accountId"), str) else _AWS
            kept = {name: value for name, value in found.items() if name != "accessKey"}
            return Principal("iam", arn, account, "", frozenset(), frozen(kept))
        case {"authorizer": {"jwt": {"claims": {"sub": str(subject)} as claims}}}:
            return _by_claims(subject, claims)
        case {"authorizer": {"claims": {"sub": str(subject)} as claims}}:
            return _by_claims(subject, claims)
        case {"authorizer": {"lambda": {"principalId": str(subject)} as found}}:
            return Principal("iam", subject, claims=frozen(dict(found)))
        case {"authorizer": {"principalId": str(subject)} as found}:
            return Principal("iam", subject, claims=frozen(dict(found)))
        case _:
            return Denied.NOTHING


def _by_claims(subject: str, claims: Mapping[str, Any]) -> Principal:
    """API Gateway hands every claim on as text, lists as `[one two]`."""
    issuer = claims.get("iss", "")
    plain = {name: value.strip("[]") if isinstance(value, str) else value for name, value in claims.items()}
    return Principal("iam", subject, str(issuer), client_of(claims), scopes_of(plain), frozen(dict(claims)))


def _peer(scope: Mapping[str, Any]) -> str:
    """The address at the other end of the connection, whatever it says of whom it speaks for."""
    client = scope.get("client")
    return str(scope.get(PEER) or (client[0] if client else ""))


def _part(text: bytes) -> dict[str, Any]:
    """A part of the balancer's JWT, which has padding where others have none."""
    plain = text.rstrip(b"=")
    found = json.loads(base64.b64decode(plain + b"=" * (-len(plain) % 4), altchars=b"-_", validate=True))
    if not isinstance(found, dict):
        raise TypeError
    return found
