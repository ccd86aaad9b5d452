"""A token by the OAuth client-credentials grant, for endpoints that want one.

Where tokens are had is found from the endpoint's own metadata (RFC 9728), then the issuer's (RFC 8414, or OpenID
Connect discovery), unless the caller says so.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from mcp_packager.errors import Problem, WorldError
from mcp_packager.verify.client import McpClient
from mcp_packager.verify.exchange import Address, RefusedError, UnreachableError, refused, unreachable

_LARGEST: Final = 1024 * 1024
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Who asks for a token. The secret shows in no repr."""

    client_id: str
    client_secret: str = field(repr=False)
    token_url: str | None = None
    scopes: tuple[str, ...] = ()


def fetch_token(url: str, credentials: ClientCredentials, *, timeout: float = 30.0) -> str:
    """An access token for the MCP endpoint at ``url``.

    Raises:
        WorldError: no token endpoint was found, or it gives no token.
    """
    token_url = credentials.token_url or _find(url, timeout)
    form = {"grant_type": "client_credentials", "resource": url}
    if credentials.scopes:
        form["scope"] = " ".join(credentials.scopes)
    # RFC 6749 section 2.3.1: both are form-encoded before they are joined.
    pair = f"{quote(credentials.client_id, safe='')}:{quote(credentials.client_secret, safe='')}"
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
    }
    try:
        answer = _json(token_url, timeout, method="POST", body=urlencode(form).encode(), headers=headers)
    except RefusedError as error:
        reason = _reason(error.body)
        raise WorldError(
            Problem(f"{token_url} gives no token: {reason}", "check client id, secret and scopes")
        ) from None
    token = answer.get("access_token")
    if not isinstance(token, str) or not token:
        raise WorldError(Problem(f"{token_url} answered without an access_token", "check that it is a token endpoint"))
    return token


def _reason(body: bytes) -> str:
    try:
        document = json.loads(body)
        return str(document.get("error_description") or document["error"])
    except (ValueError, KeyError, AttributeError):
        return "it refused the request"


def _find(url: str, timeout: float) -> str:
    """The token endpoint of the first authorization server that the endpoint's metadata names."""
    metadata = _json(_metadata_url(url, timeout), timeout)
    issuers = metadata.get("authorization_servers")
    if isinstance(issuers, list):
        for issuer in issuers:
            for place in _issuer_metadata(str(issuer)):
                with contextlib.suppress(RefusedError):
                    found = _json(place, timeout).get("token_endpoint")
                    if isinstance(found, str):
                        return found
    raise WorldError(Problem(f"{url} does not say where tokens are had", "give the token endpoint by option"))


def _metadata_url(url: str, timeout: float) -> str:
    """Where RFC 9728 metadata is: as the 401 challenge says, else at the well-known place."""
    try:
        McpClient(url, timeout=timeout).discover()
    except RefusedError as error:
        found = re.search(r'resource_metadata="([^"]+)"', error.challenge)
        if found:
            return found.group(1)
    except UnreachableError:
        raise
    except WorldError:
        pass  # whatever it said, it named no place; the well-known one remains
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}"


def _issuer_metadata(issuer: str) -> tuple[str, ...]:
    parts = urlsplit(issuer.rstrip("/"))
    root = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{root}/.well-known/oauth-authorization-server{parts.path}",
        f"{root}/.well-known/openid-configuration{parts.path}",
        f"{root}{parts.path}/.well-known/openid-configuration",
    )


def _json(
    url: str,
    timeout: float,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    address = Address.of(url)
    if address.parts.scheme != "https" and address.parts.hostname not in _LOOPBACK:
        raise WorldError(Problem(f"{url} is not encrypted, and credentials would cross the network", "use https"))
    try:
        with contextlib.closing(address.connect(timeout)) as connection:
            connection.request(method, address.path, body, {"Accept": "application/json", **(headers or {})})
            response = connection.getresponse()
            data = response.read(_LARGEST)
    except (OSError, http.client.HTTPException) as error:
        raise unreachable(url, error) from error
    if response.status >= http.HTTPStatus.BAD_REQUEST:
        received = {name.lower(): value for name, value in response.getheaders()}
        raise refused(url, response.status, received, data)
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise WorldError(Problem(f"{url} did not answer with a JSON object", "check the address"))
    return document
