"""One fetch: redirects by hand, a deadline, a size limit, and a header for selected origins."""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Self, TypeAlias

import httpx

from web_fetch.addresses import GuardedTransport, RefusedAddressError, Resolver, resolve
from web_fetch.settings import FetchSettings

Progress: TypeAlias = Callable[[int, int | None], Awaitable[None]]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHARSET_IN_PAGE = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?([\w\-]+)""", re.IGNORECASE)


class FetchError(Exception):
    """A fetch that did not lead to a page; the message is fit for the person who asked for it."""


@dataclass(frozen=True)
class Fetched:
    """A page as it came."""

    url: str
    status: int
    content_type: str
    body: bytes
    truncated: bool
    charset: str

    @property
    def text(self) -> str:
        """The body as text; bytes that are not valid become U+FFFD."""
        return self.body.decode(self.charset, errors="replace")


class Fetcher:
    """Fetches pages over connections that are kept and shared; one for each process."""

    def __init__(self, settings: FetchSettings, *, resolver: Resolver = resolve) -> None:
        self._settings = settings
        self._token_origins = frozenset(_origin(_web_address(origin)) for origin in settings.fetch_token_origins)
        # trust_env is off: a proxy from the environment would make the connections, out of reach of the check.
        self._client = httpx.AsyncClient(
            transport=GuardedTransport(
                httpx.AsyncHTTPTransport(retries=0), also=settings.private_networks, resolver=resolver
            ),
            headers={"user-agent": settings.fetch_user_agent, "accept-encoding": "gzip"},
            # One client serves every caller: what a site sets for one must not be sent for another.
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            timeout=settings.fetch_timeout,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def fetch(self, url: str, progress: Progress) -> Fetched:
        """Fetch `url`, following redirects.

        Raises:
            FetchError: it is no web address, is refused, takes too long, or no server answers.
        """
        try:
            async with asyncio.timeout(self._settings.fetch_timeout):
                return await self._follow(_web_address(url), progress)
        except TimeoutError as error:
            raise FetchError(f"No whole answer within {self._settings.fetch_timeout:g} s.") from error
        except RefusedAddressError as error:
            raise FetchError(f"Refused: {error}.") from error
        except httpx.TimeoutException as error:
            raise FetchError(f"The server at {_origin(error.request.url)} does not answer in time.") from error
        except httpx.RequestError as error:
            raise FetchError(f"The request failed: {error or type(error).__name__}.") from error

    async def _follow(self, url: httpx.URL, progress: Progress) -> Fetched:
        for _ in range(self._settings.fetch_max_redirects + 1):
            async with self._client.stream("GET", url, headers=self._headers_for(url)) as response:
                location = response.headers.get("location")
                if response.status_code not in _REDIRECTS or location is None:
                    return await self._read(response, progress)
                url = _web_address(str(url.join(location)))
        raise FetchError(f"More than {self._settings.fetch_max_redirects} redirects.")

    def _headers_for(self, url: httpx.URL) -> dict[str, str]:
        """Return the token's header for an origin that may see it; asked anew for every redirect."""
        token = self._settings.fetch_token
        if token is None or _origin(url) not in self._token_origins:
            return {}
        return {self._settings.fetch_header: token.get_secret_value()}

    async def _read(self, response: httpx.Response, progress: Progress) -> Fetched:
        limit = self._settings.fetch_max_bytes
        total = _length(response)
        body = bytearray()
        async for part in _decoded(response, limit + 1):
            body += part
            await progress(len(body), total)
            if len(body) > limit:
                break
        content_type = response.headers.get("content-type", "application/octet-stream")
        return Fetched(
            url=str(response.url),
            status=response.status_code,
            content_type=content_type.partition(";")[0].strip().lower(),
            body=bytes(body[:limit]),
            truncated=len(body) > limit,
            charset=_charset(response, bytes(body[:2048])),
        )


async def _decoded(response: httpx.Response, limit: int) -> AsyncIterator[bytes]:
    """Yield the body without its compression, never much more than `limit` bytes of it.

    The client's own decoder unpacks whatever one packet holds, and a packet of 64 KB can hold 64 MB of zeros.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip", "x-gzip"}:
        raise FetchError(f"The server compresses with {encoding!r}, which was not asked for.")
    unpack = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
    left = limit
    async for packet in response.aiter_raw():
        try:
            part = packet if unpack is None else unpack.decompress(packet, left)
        except zlib.error as error:
            raise FetchError("The page's compression is broken.") from error
        left -= len(part)
        if part:
            yield part
        if left <= 0:
            return


def _web_address(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchError(f"Not a web address: {error}.") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise FetchError("Only http:// and https:// addresses can be fetched.")
    if parsed.userinfo:
        raise FetchError("An address with a user name or password in it is not fetched.")
    return parsed


def _origin(url: httpx.URL) -> str:
    port = f":{url.port}" if url.port is not None else ""
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{host}{port}"


def _length(response: httpx.Response) -> int | None:
    """Return how many bytes will come, where the server says so and does not compress."""
    length = response.headers.get("content-length", "")
    return int(length) if length.isdecimal() and "content-encoding" not in response.headers else None


def _charset(response: httpx.Response, start: bytes) -> str:
    in_page = _CHARSET_IN_PAGE.search(start)
    for name in (response.charset_encoding, in_page.group(1).decode() if in_page else None):
        if name is not None:
            try:
                b"".decode(name)
            except (LookupError, ValueError):
                continue
            return name
    return "utf-8"
