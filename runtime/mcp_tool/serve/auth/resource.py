"""This server as an OAuth protected resource: its URL, its metadata (RFC 9728), and its challenges (RFC 6750, 9728).

Metadata is there in every mode. With static keys it names no authorization server, which RFC 9728 (section 2) allows
and which is the truth: there is none. An OAuth client that was not given the key then takes this server's own origin
for one (so do the SDKs, Python 2.3 and TypeScript 1.32, with a document of this kind and without any), tries to
register there, and shows its user the refusal, which says that a key is needed and from whom. Clients that were given
the key never look.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from mcp_tool.serve.http.gates import Headers, Refusal

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"

_AUTHORITY: Final = re.compile(r"[A-Za-z0-9._\-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


@dataclass(frozen=True)
class Resource:
    """What is protected.

    Attributes:
        path: The endpoint's path at this server.
        public_url: The endpoint's URL where the config knows it; without, each request's own Host tells.
        at_root: Whether the metadata is at the root of the host too.
        issuers: Who gives tokens for it.
        required: Scopes that every token must have.
        offered: Every scope that some tool asks for, and `required`.
    """

    path: str
    public_url: str | None
    at_root: bool
    issuers: tuple[str, ...] = ()
    required: frozenset[str] = frozenset()
    offered: frozenset[str] = frozenset()

    def url(self, scope: Mapping[str, Any], headers: Headers) -> str | None:
        """The endpoint's URL as its clients know it; None where a request does not tell in a way to rely on."""
        if self.public_url is not None:
            return self.public_url
        origin = _origin(scope, headers)
        return None if origin is None else origin + ("" if self.path == "/" else self.path)

    def metadata(self, scope: Mapping[str, Any], headers: Headers) -> bytes | None:
        """The document, where the request's path is one of its places."""
        if not scope["path"].startswith(WELL_KNOWN) or scope["path"].rstrip("/") not in self._places():
            return None
        url = self.url(scope, headers)
        if url is None:
            return None
        document: dict[str, Any] = {"resource": url}
        if self.issuers:
            document["authorization_servers"] = list(self.issuers)
        if self.offered:
            document["scopes_supported"] = sorted(self.offered)
        document["bearer_methods_supported"] = ["header"]
        return json.dumps(document, separators=(",", ":")).encode()

    def unknown(self, scope: Mapping[str, Any], headers: Headers, missing: str | None) -> Refusal:
        """The 401 for a caller who shows nothing, so that something is `missing`, or something that is not believed."""
        message = missing or "What was shown is not accepted here"
        error = {} if missing else {"error": "invalid_token", "error_description": message}
        return Refusal(401, message, "unauthenticated", headers=self._challenge(scope, headers, error, self.required))

    def forbidden(self, scope: Mapping[str, Any], headers: Headers, scopes: frozenset[str]) -> Refusal:
        """The 403 for a caller whose token lacks one of the scopes; it names everything that the request needs."""
        wanted = scopes | self.required
        challenge = self._challenge(scope, headers, {"error": "insufficient_scope"}, wanted)
        return Refusal(403, f"These scopes are needed: {' '.join(sorted(wanted))}", "forbidden", headers=challenge)

    def _challenge(
        self, scope: Mapping[str, Any], headers: Headers, error: Mapping[str, str], scopes: frozenset[str]
    ) -> tuple[tuple[bytes, bytes], ...]:
        said = dict(error)
        if (url := self.url(scope, headers)) is not None:
            said["resource_metadata"] = _metadata_url(url)
        if scopes:
            said["scope"] = " ".join(sorted(scopes))
        written = ", ".join(f'{name}="{value}"' for name, value in said.items())
        return ((b"www-authenticate", f"Bearer {written}".rstrip().encode("ascii")),)

    def _places(self) -> frozenset[str]:
        """Where the document stands: below the path that is served, and below the one that clients use."""
        paths = {self.path.rstrip("/")}
        if self.public_url is not None:
            paths.add(urlsplit(self.public_url).path.rstrip("/"))
        if self.at_root:
            paths.add("")
        return frozenset(WELL_KNOWN + path for path in paths)


def endpoint(public_url: str | None, path: str) -> str | None:
    """The endpoint's URL from the public one, which may end with the path already."""
    if public_url is None:
        return None
    base = public_url.rstrip("/")
    if path == "/" or urlsplit(base).path.endswith(path):
        return base
    return base + path


def _metadata_url(resource: str) -> str:
    """RFC 9728, section 3.1: the well-known part stands between host and path."""
    parts = urlsplit(resource)
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"


def _origin(scope: Mapping[str, Any], headers: Headers) -> str | None:
    """The origin that the client used. The shell has looked at the Host by now, and heard what proxies say of both."""
    host = headers.get(b"host", b"").decode("latin-1")
    return f"{scope['scheme']}://{host}" if _AUTHORITY.fullmatch(host) else None
