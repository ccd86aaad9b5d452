"""One HTTP exchange: a POST with JSON in it, and the JSON-RPC messages that come back, alone or as an event stream."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from mcp_packager.errors import Problem, UsageError, WorldError

ACCEPT: Final = "application/json, text/event-stream"
_LARGEST: Final = 64 * 1024 * 1024
_SHOWN: Final = 200


class UnreachableError(WorldError):
    """Nobody answers there, or not in time. What could not be reached may still be well."""


class RefusedError(WorldError):
    """The server answered, and the answer is no.

    ``status`` is the HTTP status, ``challenge`` its WWW-Authenticate, ``wait`` how many seconds it says to wait.
    """

    def __init__(
        self, problem: Problem, status: int, challenge: str = "", body: bytes = b"", wait: float | None = None
    ) -> None:
        super().__init__(problem)
        self.status = status
        self.challenge = challenge
        self.body = body
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Address:
    """Where requests go, taken apart once."""

    url: str
    parts: SplitResult

    @classmethod
    def of(cls, url: str) -> Address:
        """Take a URL apart.

        Raises:
            UsageError: it is not an http or https URL.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
            raise UsageError(Problem(f"{url!r} is not a URL of a server", "give one such as http://127.0.0.1:8000/mcp"))
        return cls(url, parts)

    @property
    def path(self) -> str:
        """Path and query, as the request line wants them."""
        path = self.parts.path or "/"
        return f"{path}?{self.parts.query}" if self.parts.query else path

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        """A connection that is not open yet."""
        host = self.parts.hostname or ""
        if self.parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, self.parts.port, timeout=timeout, context=context)
        return http.client.HTTPConnection(host, self.parts.port, timeout=timeout)


def exchange(
    address: Address, body: Mapping[str, Any], headers: Mapping[str, str], timeout: float
) -> Iterator[tuple[Mapping[str, str], dict[str, Any]]]:
    """Send one message and yield each that comes back, with the response's headers (names in lower case).

    ``timeout`` is how many seconds the whole exchange may take.

    Raises:
        UnreachableError: connection refused, name not found, TLS failed, too slow, or cut off.
        RefusedError: an HTTP status of 400 or more.
        WorldError: the answer is not MCP.
    """
    deadline = time.monotonic() + timeout
    data = json.dumps(body, ensure_ascii=False).encode()
    sent = {"Content-Type": "application/json", "Accept": ACCEPT, "User-Agent": "mcp-pack", **headers}
    connection = address.connect(timeout)
    try:
        with contextlib.closing(connection):
            connection.request("POST", address.path, data, sent)
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            if response.status >= http.HTTPStatus.BAD_REQUEST:
                raise refused(address.url, response.status, received, response.read(_LARGEST))
            if 300 <= response.status < 400:
                raise _moved(address.url, response.status, received)
            for message in _messages(address.url, response, received, connection, deadline):
                yield received, message
    except TimeoutError as error:
        raise UnreachableError(
            Problem(f"{address.url} did not answer within {timeout:g} s", "look at the server's logs: mcp-pack logs")
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise unreachable(address.url, error) from error


def _messages(
    url: str,
    response: http.client.HTTPResponse,
    headers: Mapping[str, str],
    connection: http.client.HTTPConnection,
    deadline: float,
) -> Iterator[dict[str, Any]]:
    if response.status == http.HTTPStatus.ACCEPTED:
        return
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    match kind:
        case "application/json":
            yield _parse(url, _whole(response, connection, deadline))
        case "text/event-stream":
            for data in events(_lines(response, connection, deadline)):
                yield _parse(url, data)
        case _:
            text = _whole(response, connection, deadline)
            if not text:
                return
            raise _strange(url, text)


def _whole(response: http.client.HTTPResponse, connection: http.client.HTTPConnection, deadline: float) -> bytes:
    _limit(connection, deadline)
    return response.read(_LARGEST)


def _lines(
    response: http.client.HTTPResponse, connection: http.client.HTTPConnection, deadline: float
) -> Iterator[bytes]:
    while True:
        _limit(connection, deadline)
        line = response.readline(_LARGEST)
        if not line:
            return
        yield line.rstrip(b"\r\n")


def _limit(connection: http.client.HTTPConnection, deadline: float) -> None:
    """What remains of the time becomes the socket's. A response read to its end has no socket any more."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    if isinstance(connection.sock, socket.socket):
        connection.sock.settimeout(remaining)


def events(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The data of each event of a stream (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    data: list[bytes] = []
    for line in lines:
        if not line:
            if data and any(data):
                yield b"\n".join(data)
            data = []
        elif line == b"data" or line.startswith(b"data:"):
            value = line[5:]
            data.append(value.removeprefix(b" "))
    if data and any(data):
        yield b"\n".join(data)


def _parse(url: str, data: bytes) -> dict[str, Any]:
    try:
        message = json.loads(data)
    except ValueError:
        raise _strange(url, data) from None
    if not isinstance(message, dict):
        raise _strange(url, data)
    return message


def _strange(url: str, data: bytes) -> WorldError:
    shown = data[:_SHOWN].decode("utf-8", "replace")
    return WorldError(
        Problem(
            f"what answers at {url} does not speak MCP",
            "check the URL and its path (default /mcp)",
            expected="a JSON-RPC message",
            found=repr(shown),
        )
    )


def _moved(url: str, status: int, headers: Mapping[str, str]) -> WorldError:
    to = headers.get("location", "an unnamed place")
    return RefusedError(Problem(f"{url} redirects to {to}", "use that URL, if you trust it"), status)


def refused(url: str, status: int, headers: Mapping[str, str], body: bytes) -> RefusedError:
    """The error for an HTTP status, saying what it means for an MCP endpoint and what to do."""
    challenge = headers.get("www-authenticate", "")
    text = body[:_SHOWN].decode("utf-8", "replace").strip()
    match status:
        case 401 if "invalid_token" in challenge:
            what, fix = "does not accept this token", "get a new one, or one that the server has as a key"
        case 401:
            what, fix = "asks who is calling", "give a token: --token-env NAME, or client credentials"
        case 403 if "insufficient_scope" in challenge:
            what, fix = "wants a token with more scopes", f"get one with the scopes it names: {challenge}"
        case 403:
            what, fix = "does not allow this caller", "check the token's scopes, and [serve] origins"
        case 404:
            what, fix = (
                "has nothing at this path",
                "check the path; [serve] path is /mcp unless the manifest says otherwise",
            )
        case 421:
            what, fix = "does not answer to this host name", "add the host to [serve] hosts, or set [serve] public_url"
        case 429 | 503:
            what, fix = "is too busy or not ready", "try again in a moment; look at mcp-pack status"
        case _:
            what, fix = "refused the request", "look at the server's logs: mcp-pack logs"
    problem = Problem(f"{url} {what}", fix, found=f"HTTP {status} {text}".rstrip())
    told = headers.get("retry-after", "")
    return RefusedError(problem, status, challenge, body, float(told) if told.isascii() and told.isdigit() else None)


def unreachable(url: str, error: Exception) -> UnreachableError:
    """The error for a connection that did not come about or broke."""
    match error:
        case ConnectionRefusedError():
            what, fix = f"nothing listens at {url}", "check the address, or see mcp-pack status"
        case socket.gaierror():
            what, fix = f"the host name in {url} is not known", "check the spelling, or the DNS of this machine"
        case ssl.SSLError():
            what, fix = f"no secure connection to {url}: {error.reason or error}", "check the certificate of the server"
        case http.client.RemoteDisconnected() | ConnectionResetError() | http.client.IncompleteRead():
            what, fix = f"{url} cut the connection off", "look at the server's logs: mcp-pack logs"
        case _:
            what, fix = f"{url} cannot be reached: {error}", "check the address and the network"
    return UnreachableError(Problem(what, fix))
