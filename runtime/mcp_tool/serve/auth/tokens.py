"""Signed tokens of an issuer (RFC 7519, RFC 9068): checked here, without asking the issuer about each.

What must hold: a signature by one of the issuer's keys with an algorithm that goes with the key; `iss`; `exp`, and
`nbf` where there is one; `aud`, the URL of this resource unless the config names another audience; a caller, as `sub`
or client. A token without `aud` (Amazon Cognito's access tokens have none) passes where the config names an audience
and the token's `client_id` is it: then the operator has said which client's tokens are meant for this server.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeGuard
from urllib.parse import urlsplit

import jwt

from mcp_tool.config import JwtAuth
from mcp_tool.principal import Principal
from mcp_tool.serve.auth.claims import client_of, frozen, scopes_of, subject_of
from mcp_tool.serve.auth.issuer import KeyRing, same_issuer
from mcp_tool.serve.auth.resource import Resource
from mcp_tool.serve.auth.shown import Denied
from mcp_tool.serve.http.gates import Headers

LEEWAY: Final = 30.0
"""Seconds by which the issuer's clock may differ from ours."""
REMEMBERED: Final = 60.0
"""Seconds for which a token that was found good is not looked at again; so long does a withdrawn key go on."""
_MOST: Final = 1024
_DEEPEST: Final = 16
_EVER: Final = 2**53
_TYPES: Final = frozenset({"", "jwt", "at+jwt"})
"""What a header may call an access token; others, such as logout tokens, serve another purpose (RFC 8725, 3.11)."""

logger = logging.getLogger("mcp_tool.serve")


class Tokens:
    """Tells by a token who shows it.

    Args:
        settings: What every token must have.
        resource: The audience, where the settings name none.
        keys: The issuer's.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, settings: JwtAuth, resource: Resource, keys: KeyRing, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._resource = resource
        self._keys = keys
        self._clock = clock
        self._signatures = jwt.PyJWS(algorithms=list(settings.algorithms))
        self._good: dict[bytes, tuple[float, Principal]] = {}

    async def __call__(self, scope: Mapping[str, Any], headers: Headers, shown: str | Denied) -> Principal | Denied:
        """Who shows the token."""
        if isinstance(shown, Denied):
            return shown
        audience = self._settings.audience or self._resource.url(scope, headers)
        if audience is None:
            return Denied.INVALID
        digest = hashlib.sha256(f"{audience}\0{shown}".encode()).digest()
        now = self._clock()
        kept = self._good.get(digest)
        if kept is not None and now < kept[0]:
            return kept[1]
        claims = await self._verified(shown, audience)
        if isinstance(claims, Denied):
            return claims
        principal = _principal(claims)
        self._remember(digest, min(now + REMEMBERED, claims["exp"]), principal)
        return principal

    async def _verified(self, token: str, audience: str) -> dict[str, Any] | Denied:
        """The claims of a good token. What costs nothing is looked at first; a bad one never has the issuer asked."""
        try:
            opened = jwt.decode_complete(token, options={"verify_signature": False})
            header, claims = opened["header"], opened["payload"]
            algorithm, key_id = header.get("alg"), header.get("kid")
            if (reason := self._misfit(header, claims, audience)) is not None:
                return _refused(reason)
            key = await self._keys.find(algorithm, key_id)
            if isinstance(key, Denied):
                return key if key is Denied.UNCLEAR else _refused("key")
            self._signatures.decode(token, key=key, algorithms=[algorithm])
        # PyJWT's own errors, and what Python makes of numbers and nesting that nobody means well with.
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            return _refused("form or signature")
        return dict(claims)

    def _misfit(self, header: Mapping[str, Any], claims: Mapping[str, Any], audience: str) -> str | None:
        """What is wrong with a token, its signature apart; None where nothing is."""
        kind = str(header.get("typ", "")).lower().removeprefix("application/")
        key_id = header.get("kid")
        now = self._clock()
        if header.get("alg") not in self._settings.algorithms:
            return "alg"
        if kind not in _TYPES or "crit" in header or header.get("b64", True) is not True:
            return "typ"
        if not (key_id is None or isinstance(key_id, str)):
            return "kid"
        if not same_issuer(claims.get("iss"), self._settings.issuer):
            return "iss"
        if not _in_time(claims, now):
            return "exp or nbf"
        if not _is_for(claims, audience, named=self._settings.audience is not None):
            return "aud"
        # Cognito's identity tokens have the client as audience; they say who logged in, not what is granted.
        if claims.get("token_use", "access") != "access":
            return "token_use"
        return None if subject_of(claims) and _nests(claims) else "sub"

    def _remember(self, digest: bytes, until: float, principal: Principal) -> None:
        if len(self._good) >= _MOST:
            del self._good[next(iter(self._good))]
        self._good.pop(digest, None)
        self._good[digest] = (until, principal)


def _refused(reason: str) -> Denied:
    logger.debug("a token is refused for its %s", reason)
    return Denied.INVALID


def _in_time(claims: Mapping[str, Any], now: float) -> bool:
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    if not (_is_time(expires) and _is_time(begins)):
        return False
    return bool(begins - LEEWAY <= now < expires + LEEWAY)


def _is_time(value: object) -> TypeGuard[float]:
    """Whether a claim is seconds since the epoch; JSON's numbers may be larger than any clock, and none at all."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -_EVER < value < _EVER


def _is_for(claims: Mapping[str, Any], audience: str, *, named: bool) -> bool:
    """Whether a token is meant for this server: `named` in the config, else by URL."""
    given = claims.get("aud")
    if given is None:
        return named and claims.get("client_id") == audience
    listed = given if isinstance(given, list) else [given]
    if named:
        return audience in listed
    return any(isinstance(one, str) and _same_url(one, audience) for one in listed)


def _same_url(one: str, other: str) -> bool:
    """Whether two URLs are one resource; case of the host, default ports and a last slash make no difference."""
    return one == other or _plain_url(one) == _plain_url(other)


def _plain_url(url: str) -> tuple[str | int | None, ...]:
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.username, parts.hostname, port, parts.path.rstrip("/"), parts.query, parts.fragment


def _principal(claims: Mapping[str, Any]) -> Principal:
    return Principal("jwt", subject_of(claims), claims["iss"], client_of(claims), scopes_of(claims), frozen(claims))


def _nests(value: Any, depth: int = 0) -> bool:
    """Whether claims nest no deeper than anybody needs."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth < _DEEPEST and all(_nests(one, depth + 1) for one in inner)
