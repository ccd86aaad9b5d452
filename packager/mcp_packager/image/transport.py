"""One registry over HTTP: who we are there, what is tried again, and what its refusals mean.

The protocol is the OCI distribution specification 1.1; tokens are as in
https://distribution.github.io/distribution/spec/auth/token/.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urljoin, urlsplit

from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.image.credentials import Credentials, credentials_for
from mcp_packager.image.reference import HUB, Reference

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

_TRIES: Final = 5
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 20.0
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_CONNECTIONS: Final = 8
_SHORT: Final = 1024 * 1024

Body = bytes | Callable[[], Iterator[bytes]] | None
"""What is sent: bytes, or what makes the chunks anew for each try."""


class Transport:
    """Requests to the registry of one image, side by side from several threads.

    ``seconds`` is the limit for connecting and between two reads.
    """

    def __init__(self, reference: Reference, *, environ: Mapping[str, str] = os.environ, seconds: float = 60.0) -> None:
        self.registry = reference.registry
        self._reference = reference
        self._environ = environ
        self._seconds = seconds
        self._credentials: Credentials | None = None
        self._asked = False
        self._authorization: dict[str, str] = {}
        self._lock = threading.Lock()
        self._pool_made: PoolManager | None = None
        self._base = ""

    def request(
        self,
        method: str,
        path: str,
        *,
        scope: str,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        size: int | None = None,
        expect: frozenset[int],
        stream: bool = False,
        again: bool = True,
    ) -> BaseHTTPResponse:
        """One request, with what it takes to be let in, tried again where that is safe and may help.

        Args:
            method: of HTTP.
            path: below the registry's root, or a whole URL that the registry gave.
            scope: what the token is for, such as ``repository:name:pull,push``.
            headers: beside what is added here.
            body: what is sent.
            size: bytes of a body that is made in chunks.
            expect: the statuses that are answers; any other one is raised.
            stream: leave the body to the caller.
            again: whether it may be sent twice.

        Raises:
            UserError: the registry does not let us in.
            WorldError: it cannot be reached, or answers with something else.
        """
        wait = _FIRST_WAIT
        for left in reversed(range(_TRIES)):
            try:
                response = self._authorized(method, path, scope, headers or {}, body, size, stream=stream)
            except WorldError:
                if not left or not again:
                    raise
                response = None
            if response is not None and response.status not in _AGAIN:
                break
            if response is not None and (not left or not again):
                break
            asked = _retry_after(response) if response is not None else None
            if response is not None:
                response.drain_conn()
            time.sleep(min(asked if asked is not None else wait * (0.5 + random.random()), _LONGEST_WAIT))  # noqa: S311 - spreads tries, hides nothing
            wait *= 2
        if response is None or response.status not in expect:
            raise self._refused(method, path, response)
        return response

    def _authorized(
        self,
        method: str,
        path: str,
        scope: str,
        headers: Mapping[str, str],
        body: Body,
        size: int | None,
        *,
        stream: bool,
    ) -> BaseHTTPResponse:
        url = urljoin(self.base, path)
        for first in (True, False):
            sent = dict(headers)
            # What the registry hands us on to (a bucket, say) gets no word of who we are.
            if urlsplit(url).netloc == urlsplit(self.base).netloc and (known := self._authorization.get(scope)):
                sent["Authorization"] = known
            if size is not None:
                sent["Content-Length"] = str(size)
            response = self._send(method, url, sent, body() if callable(body) else body, stream=stream)
            if response.status != 401 or not first:
                return response
            challenge = response.headers.get("www-authenticate", "")
            response.drain_conn()
            self._prove(scope, challenge, shown=sent.get("Authorization"))
        raise AssertionError("unreachable")

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Iterator[bytes] | None, *, stream: bool
    ) -> BaseHTTPResponse:
        from urllib3.exceptions import HTTPError

        try:
            return self._pool.request(
                method,
                url,
                headers={"User-Agent": "mcp-pack", **headers},
                body=body,
                redirect=method in {"GET", "HEAD"},
                retries=3 if method in {"GET", "HEAD"} else False,
                preload_content=not stream,
                decode_content=False,
            )
        except HTTPError as error:
            raise self._unreachable(error) from error

    @property
    def base(self) -> str:
        """The registry's root URL."""
        if not self._base:
            with self._lock:
                self._base = self._base or self._find_base()
        return self._base

    def _find_base(self) -> str:
        host = "registry-1.docker.io" if self.registry == HUB else self.registry
        if not on_loopback(host):
            return f"https://{host}/v2/"
        # As Docker does: a registry on this machine may speak plain HTTP, or have a certificate of its own making.
        with contextlib.suppress(WorldError):
            plain = self._send("GET", f"http://{host}/v2/", {}, None, stream=False)
            if plain.status in {200, 401}:
                return f"http://{host}/v2/"
        return f"https://{host}/v2/"

    @property
    def _pool(self) -> PoolManager:
        if self._pool_made is None:
            from urllib3 import PoolManager, Timeout, disable_warnings, proxy_from_url

            loopback = on_loopback(self.registry)
            settings: dict[str, Any] = {
                "timeout": Timeout(connect=min(self._seconds, 15.0), read=self._seconds),
                "maxsize": _CONNECTIONS,
                "block": True,
                "cert_reqs": "CERT_NONE" if loopback else "CERT_REQUIRED",
            }
            if loopback:
                disable_warnings()
            if authority := self._environ.get("SSL_CERT_FILE"):
                settings["ca_certs"] = authority
            proxy = None if loopback else self._environ.get("HTTPS_PROXY") or self._environ.get("https_proxy")
            self._pool_made = proxy_from_url(proxy, **settings) if proxy else PoolManager(**settings)
        return self._pool_made

    def _prove(self, scope: str, challenge: str, *, shown: str | None) -> None:
        """Get what the registry wants to see, as its challenge says."""
        with self._lock:
            if self._authorization.get(scope) != shown and scope in self._authorization:
                return  # another thread has asked meanwhile
            kind, _, rest = challenge.partition(" ")
            wanted = dict(re.findall(r'([a-zA-Z_]+)="([^"]*)"', rest))
            if not self._asked:
                self._credentials, self._asked = credentials_for(self._reference, self._environ), True
            if kind.lower() == "basic" and self._credentials is not None:
                self._authorization[scope] = self._credentials.basic
            elif kind.lower() == "bearer" and "realm" in wanted:
                self._authorization[scope] = f"Bearer {self._token(scope, wanted)}"
            else:
                raise self._locked_out(scope)

    def _token(self, scope: str, wanted: Mapping[str, str]) -> str:
        realm, query = wanted["realm"], {"service": wanted.get("service", ""), "scope": scope}
        if urlsplit(realm).scheme != "https" and not on_loopback(urlsplit(realm).netloc):
            raise WorldError(
                Problem(f"{self.registry} sends us to {realm} for a token, which is not encrypted", "use another one")
            )
        known = self._credentials
        if known is not None and known.identity_token:
            form = {
                **query,
                "grant_type": "refresh_token",
                "refresh_token": known.identity_token,
                "client_id": "mcp-pack",
            }
            response = self._send(
                "POST",
                realm,
                {"Content-Type": "application/x-www-form-urlencoded"},
                urlencode(form).encode(),
                stream=False,
            )
        else:
            headers = {"Authorization": known.basic} if known is not None else {}
            response = self._send("GET", f"{realm}?{urlencode(query)}", headers, None, stream=False)
        document = _document(response)
        token = document.get("token") or document.get("access_token")
        if response.status in {401, 403} or not token:
            raise self._locked_out(scope)
        return str(token)

    def _locked_out(self, scope: str) -> UserError:
        who = "anybody" if self._credentials is None else repr(self._credentials.user or "the holder of a token")
        action = "push to" if "push" in scope else "pull from"
        repository = scope.split(":")[1] if ":" in scope else self._reference.repository
        return UserError(
            Problem(
                f"{self.registry} does not let {who} {action} {repository}",
                f"log in: docker login {self.registry}; or ask its owner for the right to",
            )
        )

    def _unreachable(self, error: Exception) -> WorldError:
        return WorldError(
            Problem(
                f"the registry {self.registry} cannot be reached: {_plain(error)}",
                "check its name, the network and HTTPS_PROXY; is it running?",
            )
        )

    def _refused(self, method: str, path: str, response: BaseHTTPResponse | None) -> UserError | WorldError:
        if response is None:
            return WorldError(Problem(f"the registry {self.registry} did not answer", "try again"))
        if response.status in {401, 403}:
            return self._locked_out(f"repository:{self._reference.repository}:{'pull' if method == 'GET' else 'push'}")
        said = "; ".join(_messages(response))
        return WorldError(
            Problem(
                f"{self.registry} answered {method} {urlsplit(path).path} with {response.status}",
                "try again; where it stays so, ask the registry's owner",
                found=said or None,
            )
        )


def on_loopback(host: str) -> bool:
    """Whether a ``host[:port]`` is this machine."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _retry_after(response: BaseHTTPResponse) -> float | None:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdigit() else None


def _document(response: BaseHTTPResponse) -> dict[str, Any]:
    try:
        document = json.loads(response.data[:_SHORT])
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _messages(response: BaseHTTPResponse) -> list[str]:
    """The registry's own words (distribution specification, section "Error codes")."""
    errors = _document(response).get("errors")
    return [
        f"{item.get('code', '')}: {item.get('message', '')}".strip(": ")
        for item in (errors if isinstance(errors, list) else [])
        if isinstance(item, dict)
    ]


def _plain(error: Exception) -> str:
    """What a person would say of urllib3's nested errors."""
    reason: BaseException = error
    while True:
        inner = getattr(reason, "reason", None) or reason.__cause__
        if not isinstance(inner, BaseException) or inner is reason:
            break
        reason = inner
    text = str(getattr(reason, "strerror", None) or reason)
    return re.sub(r"^<?[\w.]+\(.*?\)>?: |^\(?<[^>]*>,? ?'?", "", text).strip("') ") or type(reason).__name__
