"""Decide which network addresses a fetch may reach, and hold every connection to that decision.

A server that fetches addresses chosen by somebody else can be used to reach what only the server can reach: its own
loopback interface, the private network, a cloud's metadata service. The check here stands where the connection is
made: a name is resolved once, every address it has is judged, and the connection goes to one of those very addresses.
A name that answers differently a moment later (DNS rebinding) gains nothing, and a redirect is a new request that is
judged again.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

import httpx

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

# Addresses of this kind carry an IPv4 address in their last 32 bits (RFC 6052) and reach what that one reaches.
_NAT64 = ip_network("64:ff9b::/96")


class RefusedAddressError(httpx.RequestError):
    """A host name that stands for an address which must not be reached."""


def is_allowed(address: Address, also: Sequence[Network] = ()) -> bool:
    """Tell whether `address` is public, or lies in one of the networks in `also`."""
    plain = _unwrapped(address)
    if any(plain in network for network in also):
        return True
    return plain.is_global and not plain.is_multicast


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of `host` in the order in which the system would try them.

    Raises:
        OSError: the name has no address.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends requests to checked addresses only.

    `inner` receives requests whose URL holds an address instead of a name. The Host header still says the name, and
    so does the TLS handshake, so that certificates are checked against the name as ever.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport, *, also: Sequence[Network] = (), resolver: Resolver = resolve
    ) -> None:
        self._inner = inner
        self._also = tuple(also)
        self._resolver = resolver

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Resolve, judge and send `request`."""
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        addresses = await self._addresses(host, port, request)
        for position, address in enumerate(addresses, start=1):
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except httpx.ConnectError:
                if position == len(addresses):
                    raise
        raise AssertionError("a resolver returns at least one address")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def _addresses(self, host: str, port: int, request: httpx.Request) -> Sequence[str]:
        try:
            found = await self._resolver(host, port)
        except OSError as error:
            raise httpx.ConnectError(f"{host} has no address", request=request) from error
        for address in found:
            if not is_allowed(ip_address(address), self._also):
                named = host if host == address else f"{host} ({address})"
                raise RefusedAddressError(f"{named} is not a public address", request=request)
        return found


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 address that only stands for it."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address
