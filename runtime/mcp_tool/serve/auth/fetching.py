"""Reading an issuer's documents: JSON over HTTPS, bounded in size and time, from where it was asked for and no other.

An issuer's addresses are named in part by documents that others write, so they are a way to make this server call
into its own network (MCP 2026-07-28, security best practices, server-side request forgery). Hence: `https` unless both
ends are this machine, no redirects (neither discovery nor key sets have them), and no way from a public issuer to a
private address.
"""

import functools
import http.client
import json
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final
from urllib.parse import urlsplit

LARGEST: Final = 512 * 1024
"""Bytes of a document; sets of a few dozen keys with certificates stay below a tenth of it."""
_CHUNK: Final = 16 * 1024


class FetchError(Exception):
    """A document could not be had; the message says why and quotes nothing of what came."""


def get_json(url: str, until: float) -> dict[str, Any]:
    """The JSON object at a URL.

    Args:
        url: Where it is; see `is_allowed`.
        until: `time.monotonic()` at which to give up, whatever is on its way by then.

    Raises:
        FetchError: There is none, or not in time, or it is too large, or it is elsewhere.
    """
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise FetchError("no time was left")
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - see is_allowed
    proxies: dict[str, str] | None = {} if _is_loopback(urlsplit(url).hostname or "") else None
    try:
        with _hung_up_after(seconds) as lines, _opener(lines, proxies).open(request, timeout=seconds) as answer:
            document = json.loads(_body(answer))
    except urllib.error.HTTPError as error:
        with closing(error):
            raise FetchError(f"HTTP status {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise FetchError(f"{type(reason).__name__}: {reason}") from None
    except (ValueError, RecursionError):
        raise FetchError("it is not JSON") from None
    if not isinstance(document, dict):
        raise FetchError("it is not a JSON object")
    return document


def is_allowed(url: str) -> bool:
    """Whether such an address may be asked at all: over TLS, or on this machine; with a host and without a user."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))


def leads_inside(url: str, issuer: str) -> bool:
    """Whether a public issuer names an address of a private network. Asks the resolver, so not for the event loop."""
    named, known = urlsplit(url).hostname or "", urlsplit(issuer).hostname or ""
    return named != known and _is_private(named) and not _is_private(known)


def _body(answer: http.client.HTTPResponse) -> bytes:
    body = bytearray()
    while chunk := answer.read1(_CHUNK):
        body += chunk
        if len(body) > LARGEST:
            raise FetchError(f"it is larger than {LARGEST} bytes")
    return bytes(body)


class _Line(http.client.HTTPConnection):
    """A connection that others can hang up on, even before TLS is up: what is kept is a second handle on its socket."""

    lines: list[socket.socket]

    def connect(self) -> None:
        super().connect()
        self.lines.append(self.sock.dup())


class _TlsLine(http.client.HTTPSConnection, _Line):
    """The same over TLS; `HTTPSConnection.connect` calls `_Line.connect` before the handshake."""


def _kept(lines: list[socket.socket], kind: type[_Line]) -> Callable[..., _Line]:
    def connection(host: str, **options: Any) -> _Line:
        made = kind(host, **options)
        made.lines = lines
        return made

    return connection


class _Http(urllib.request.HTTPHandler):
    def __init__(self, lines: list[socket.socket]) -> None:
        super().__init__()
        self._lines = lines

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_kept(self._lines, _Line), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, lines: list[socket.socket]) -> None:
        super().__init__()
        self._lines = lines

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_kept(self._lines, _TlsLine), req, context=_tls())


def _opener(lines: list[socket.socket], proxies: dict[str, str] | None) -> urllib.request.OpenerDirector:
    """Like urllib's own without its other schemes; no `proxies` named are those of the environment."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(proxies),
        _Http(lines),
        _Https(lines),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


@contextmanager
def _hung_up_after(seconds: float) -> Iterator[list[socket.socket]]:
    """Sockets that are shut down when time is up: a timeout counts from byte to byte, and never ends a trickle."""
    lines: list[socket.socket] = []

    def hang_up() -> None:
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield lines
    finally:
        timer.cancel()
        for line in lines:
            line.close()


@functools.cache
def _tls() -> ssl.SSLContext:
    """TLS with the system's certificates, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name."""
    return ssl.create_default_context()


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _is_private(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return not address.is_global
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False  # only a proxy may know the name, and it is the one to forbid it
    addresses = [_address(str(entry[4][0])) for entry in found]
    return any(one is None or not one.is_global for one in addresses)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
