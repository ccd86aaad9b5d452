"""Where a request came from, as far as proxies are believed."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest

from mcp_tool.serve.http.gates import Platform
from mcp_tool.serve.http.proxies import Proxies
from tests.serve.test_shell import bench


class TestProxies:
    """Who is believed, and how far."""

    @pytest.mark.parametrize(
        ("peer", "sent", "expected"),
        [
            ("192.0.2.1", [("x-forwarded-for", "1.1.1.1")], "192.0.2.1"),
            ("10.0.0.1", [], "10.0.0.1"),
            ("10.0.0.1", [("x-forwarded-for", "1.1.1.1")], "1.1.1.1"),
            ("10.0.0.1", [("x-forwarded-for", "6.6.6.6, 1.1.1.1")], "1.1.1.1"),
            ("10.0.0.1", [("x-forwarded-for", "6.6.6.6, 1.1.1.1, 10.0.0.2")], "1.1.1.1"),
            ("10.0.0.1", [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.1.1.1")], "1.1.1.1"),
            ("10.0.0.1", [("x-forwarded-for", "1.1.1.1:4711")], "1.1.1.1"),
            ("10.0.0.1", [("x-forwarded-for", "[2001:db8::1]:4711")], "2001:db8::1"),
            ("10.0.0.1", [("x-forwarded-for", "2001:db8::1")], "2001:db8::1"),
            ("::ffff:10.0.0.1", [("x-forwarded-for", "1.1.1.1")], "1.1.1.1"),
            ("10.0.0.1", [("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
            ("10.0.0.1", [("x-forwarded-for", "unknown")], "10.0.0.1"),
            ("10.0.0.1", [("x-forwarded-for", "1.1.1.1, garbage, 10.0.0.2")], "10.0.0.2"),
            ("10.0.0.1", [("forwarded", 'for="[2001:db8::1]:47";proto=https, for=10.0.0.2')], "2001:db8::1"),
            ("10.0.0.1", [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "1.1.1.1")], "1.1.1.1"),
            ("10.0.0.1", [("forwarded", "for=_hidden, for=10.0.0.2")], "10.0.0.2"),
            ("", [("x-forwarded-for", "1.1.1.1")], ""),
        ],
    )
    def test_the_client_is_the_last_one_no_proxy_of_ours(
        self, peer: str, sent: list[tuple[str, str]], expected: str
    ) -> None:
        raw = [(name.encode(), value.encode()) for name, value in sent]
        proxies = Proxies([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
        assert proxies.origin(peer, dict(raw), raw).address == expected

    @pytest.mark.parametrize(
        ("peer", "sent", "expected"),
        [
            ("192.0.2.1", [("x-forwarded-proto", "https"), ("x-forwarded-host", "evil.test")], ("", "")),
            ("10.0.0.1", [("x-forwarded-proto", "https"), ("x-forwarded-host", "Pub.test")], ("https", "pub.test")),
            ("10.0.0.1", [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-proto", "https")], ("https", "")),
            ("10.0.0.1", [("x-forwarded-proto", "gopher")], ("", "")),
            (
                "10.0.0.1",
                [("x-forwarded-for", "1.1.1.1, 10.0.0.2"), ("x-forwarded-proto", "https, http")],
                ("https", ""),
            ),
            ("10.0.0.1", [("forwarded", "for=1.1.1.1;proto=https;host=pub.test")], ("https", "pub.test")),
        ],
    )
    def test_scheme_and_host_come_from_the_proxy_that_saw_the_client(
        self, peer: str, sent: list[tuple[str, str]], expected: tuple[str, str]
    ) -> None:
        raw = [(name.encode(), value.encode()) for name, value in sent]
        found = Proxies([ip_network("10.0.0.0/8")]).origin(peer, dict(raw), raw)
        assert (found.scheme, found.host) == expected


class TestPlatform:
    """Where the platform in front says what no client can forge."""

    SAID = Platform("abc.lambda-url.test", "https", "192.0.2.9")

    def test_its_name_is_ours_and_its_word_goes_before_the_headers(self) -> None:
        made = bench({"trusted_proxies": ["127.0.0.0/8"]})
        sent = {"host": "abc.lambda-url.test", "x-forwarded-for": "6.6.6.6"}
        assert asyncio.run(made.ask(sent=sent, platform=self.SAID)).status == 200
        assert made.inner.scopes[0]["scheme"] == "https"
        assert made.seen[0].address == "192.0.2.9"

    def test_another_name_is_not(self) -> None:
        assert asyncio.run(bench().ask(sent={"host": "evil.test"}, platform=self.SAID)).status == 421
        assert asyncio.run(bench().ask(sent={"host": "abc.lambda-url.test"})).status == 421


def test_what_a_trusted_proxy_says_reaches_the_inside() -> None:
    made = bench({"trusted_proxies": ["127.0.0.0/8"]})
    sent = {
        "host": "10.0.0.7",
        "x-forwarded-host": "pub.test",
        "x-forwarded-for": "1.1.1.1",
        "x-forwarded-proto": "https",
    }
    assert asyncio.run(made.ask(sent=sent)).status == 200
    (scope,) = made.inner.scopes
    assert (scope["client"], scope["scheme"], made.seen[0].address) == (("1.1.1.1", 0), "https", "1.1.1.1")
    assert asyncio.run(bench().ask(sent=sent)).status == 421
