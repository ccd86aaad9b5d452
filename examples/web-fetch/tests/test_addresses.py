"""Which addresses may be reached, and that a connection goes where the check looked."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import httpx
import pytest

from web_fetch.addresses import GuardedTransport, RefusedAddressError, is_allowed


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),  # noqa: S104 - to be refused
        *("224.0.0.1", "255.255.255.255", "192.0.2.1"),
        *("::1", "::", "fe80::1", "fc00::1", "ff02::1", "fd00:ec2::254"),
        # IPv4 in the clothes of IPv6: mapped, 6to4, NAT64, Teredo.
        *("::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::a9fe:a9fe", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
    ],
)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not is_allowed(ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
def test_what_is_public_is_allowed(address: str) -> None:
    assert is_allowed(ip_address(address))


def test_a_network_can_be_allowed() -> None:
    also = [ip_network("127.0.0.0/8"), ip_network("fd12::/16")]
    assert is_allowed(ip_address("127.1.2.3"), also)
    assert is_allowed(ip_address("fd12::7"), also)
    assert not is_allowed(ip_address("10.0.0.1"), also)


class Recorder(httpx.AsyncBaseTransport):
    """Stands for the network: notes which address a request would go to."""

    def __init__(self, unreachable: Sequence[str] = ()) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self._unreachable = unreachable

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append((request.url.host, request.headers["host"], request.extensions["sni_hostname"]))
        if request.url.host in self._unreachable:
            raise httpx.ConnectError("unreachable", request=request)
        return httpx.Response(200)


def get(url: str, network: Recorder, rounds: list[Sequence[str]], times: int = 1) -> httpx.Response:
    async def resolver(host: str, port: int) -> Sequence[str]:
        assert (host, port) == ("site.example", 443)
        return rounds.pop(0)

    async def go() -> httpx.Response:
        async with httpx.AsyncClient(transport=GuardedTransport(network, resolver=resolver)) as client:
            for _ in range(times - 1):
                await client.get(url)
            return await client.get(url)

    return asyncio.run(go())


def test_the_connection_goes_to_the_address_that_was_checked_under_the_name_that_was_asked() -> None:
    network = Recorder()
    get("https://site.example/page", network, [["93.184.215.14"]])
    assert network.seen == [("93.184.215.14", "site.example", "site.example")]


def test_a_name_that_turns_private_between_two_requests_is_refused_then() -> None:
    network = Recorder()
    with pytest.raises(RefusedAddressError, match=r"site\.example \(127\.0\.0\.1\) is not"):
        get("https://site.example/", network, [["93.184.215.14"], ["127.0.0.1"]], times=2)
    assert len(network.seen) == 1


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    network = Recorder()
    with pytest.raises(RefusedAddressError):
        get("https://site.example/", network, [["93.184.215.14", "10.0.0.1"]])
    assert network.seen == []


def test_the_next_address_is_tried_where_one_cannot_be_reached() -> None:
    network = Recorder(unreachable=["2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
    get("https://site.example/", network, [["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "93.184.215.14"]])
    assert [host for host, *_ in network.seen] == ["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "93.184.215.14"]
