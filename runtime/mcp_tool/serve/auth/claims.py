"""What tokens say, read alike wherever they come from."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


def subject_of(claims: Mapping[str, Any]) -> str:
    """Who calls; the client itself where it acts for nobody. Empty where neither is said."""
    subject = claims.get("sub") or client_of(claims)
    return subject if isinstance(subject, str) else ""


def client_of(claims: Mapping[str, Any]) -> str:
    """The OAuth client: `client_id` (RFC 9068, section 2.2), or OpenID Connect's `azp`."""
    client = claims.get("client_id") or claims.get("azp")
    return client if isinstance(client, str) else ""


def scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """The scopes granted: `scope` (RFC 9068, section 2.2.3), or `scp`, which some issuers write as a list."""
    found: set[str] = set()
    for name in ("scope", "scp"):
        value = claims.get(name)
        if isinstance(value, str):
            found.update(value.split())
        elif isinstance(value, list):
            found.update(one for one in value if isinstance(one, str))
    return frozenset(found)


def frozen(value: Any) -> Any:
    """The same, to be read only: one principal is shared by all calls with its token."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen(one) for key, one in value.items()})
    return tuple(frozen(one) for one in value) if isinstance(value, list) else value
