"""Where a request really came from: what proxies say of it is believed only of those the config names.

`X-Forwarded-For` is read from the right: every proxy appends whom it spoke to, so the last address that is no
trusted proxy's is the client's, and whatever the client itself wrote stands left of it. `Forwarded` (RFC 7239) counts
only where there is no `X-Forwarded-For`: a proxy that writes the one passes the other on as the client sent it.
"""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from mcp_tool.serve.http.gates import Headers

_MOST: Final = 32
"""Hops that are looked at; a longer list is somebody's joke."""

_PAIR: Final = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"([^"]*)"|([^;,"\s]*))\s*')
_FIELDS: Final = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from.

    Attributes:
        address: The client's address; empty where the connection has none.
        scheme: "http" or "https", as the client spoke it; empty where nobody says.
        host: The Host the client asked for; empty where nobody says.
    """

    address: str
    scheme: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class _Hop:
    address: str
    scheme: str = ""
    host: str = ""


class Proxies:
    """The proxies whose word counts."""

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)
        self._trusts: Callable[[str], bool] = functools.lru_cache(1024)(self._is_within)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def origin(self, peer: str, headers: Headers, raw: Sequence[tuple[bytes, bytes]]) -> Origin:
        """Where a request came from.

        Args:
            peer: The address at the other end of the connection.
            headers: The request's headers.
            raw: The same in their order; a proxy may add a line of its own instead of appending to one.
        """
        if not self._networks or not any(name in headers for name in _FIELDS) or not self._trusts(peer):
            return Origin(peer)
        only_forwarded = b"forwarded" in headers and b"x-forwarded-for" not in headers
        hops = _forwarded(raw) if only_forwarded else _x_forwarded(raw)
        found = _Hop(peer)
        for hop in reversed(hops[-_MOST:]):
            if hop.address and _parsed(hop.address) is None:
                break  # an obfuscated or broken one: what stands left of it cannot be told from the client's words
            found = _Hop(hop.address or found.address, hop.scheme or found.scheme, hop.host or found.host)
            if not self._trusts(hop.address):
                break
        return Origin(found.address, found.scheme, found.host)

    def _is_within(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(
            parsed.version == network.version and parsed in network for network in self._networks
        )


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _values(raw: Sequence[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    joined = b",".join(value for name, value in raw if name == wanted)
    return [part.strip() for part in joined.decode("latin-1").split(",")] if joined else []


def _x_forwarded(raw: Sequence[tuple[bytes, bytes]]) -> list[_Hop]:
    addresses = [_without_port(address) for address in _values(raw, b"x-forwarded-for")] or [""]
    schemes, hosts = _values(raw, b"x-forwarded-proto"), _values(raw, b"x-forwarded-host")
    count = len(addresses)
    hops = []
    for place, address in enumerate(addresses):
        # Counted from the right, where the trusted ones write; most proxies replace these two instead of appending.
        back = count - place
        hops.append(_Hop(address, _scheme(_at(schemes, back)), _at(hosts, back).lower()))
    return hops


def _at(values: Sequence[str], back: int) -> str:
    return values[-back] if 0 < back <= len(values) else ""


def _forwarded(raw: Sequence[tuple[bytes, bytes]]) -> list[_Hop]:
    hops = []
    for element in _values(raw, b"forwarded"):
        pairs = {name.lower(): quoted or plain for name, quoted, plain in _PAIR.findall(element)}
        address = _without_port(pairs.get("for", ""))
        hops.append(_Hop(address, _scheme(pairs.get("proto", "")), pairs.get("host", "").lower()))
    return hops


def _scheme(text: str) -> str:
    return text.lower() if text.lower() in {"http", "https"} else ""


def _without_port(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    name, colon, port = address.rpartition(":")
    return name if colon and port.isdigit() and ":" not in name else address
